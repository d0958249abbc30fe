import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  attributeWriter,
  bindingWrites,
  readBinding,
  restoreBinding,
  bindTo,
  unbind,
  clearOverride,
} from "../../../src/device/host/binding.ts";
import { Sysroot } from "../../../src/device/host/sysroot.ts";
import { Machine } from "../../support/host-machine.ts";
import { refusal } from "../../support/refusal.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const nvme = "0000:02:00.0";
describe("the writes", () => {
  const folder = `/sys/bus/pci/devices/${nvme}`;
  const lines = (...args: Parameters<typeof bindingWrites>): string[] =>
    bindingWrites(...args).map(({ path, value }) => `${value} > ${path}`);
  const host = { bdf: nvme, driver: "nvme", driverOverride: undefined };
  const bound = { bdf: nvme, driver: "vfio-pci", driverOverride: "vfio-pci" };
  const probe = `${nvme} > /sys/bus/pci/drivers_probe`;
  const unbindFile = `${nvme} > ${folder}/driver/unbind`;

  test("to a VFIO driver: the override, then away from the old one, then a probe", () => {
    expect(lines(host, bindTo("vfio-pci"))).toEqual([
      `vfio-pci > ${folder}/driver_override`,
      unbindFile,
      probe,
    ]);
    expect(lines({ ...host, driver: undefined }, bindTo("vfio-pci"))).toHaveLength(2);
    expect(lines(bound, bindTo("vfio-pci"))).toEqual([]);
  });
  test("back to the host: no override, then a probe of whoever claims it", () => {
    expect(lines(bound, unbind)).toEqual([` > ${folder}/driver_override`, unbindFile, probe]);
    expect(lines({ ...bound, driverOverride: undefined }, unbind)).toEqual([unbindFile, probe]);
  });
  test("back to what it had: that driver by its name, or none", () => {
    expect(lines(bound, restoreBinding(host))).toEqual([
      ` > ${folder}/driver_override`,
      unbindFile,
      `${nvme} > /sys/bus/pci/drivers/nvme/bind`,
    ]);
    expect(lines(bound, restoreBinding({ ...host, driver: undefined }))).toEqual([
      ` > ${folder}/driver_override`,
      unbindFile,
    ]);
    expect(lines(host, restoreBinding(bound)).at(-1)).toBe(probe);
    expect(lines(host, restoreBinding(host))).toEqual([]);
  });
  test("to the driver that it has: the override goes alone", () => {
    const given = { ...host, driverOverride: "vfio-pci" };
    expect(lines(given, clearOverride(given))).toEqual([` > ${folder}/driver_override`]);
    expect(lines(host, clearOverride(host))).toEqual([]);
  });
});

test("a write that sysfs refuses names the file, and the next step", () => {
  using machine = new Machine();
  const write = attributeWriter(machine.files);
  write({ path: `/sys/bus/pci/devices/${nvme}/driver_override`, value: "vfio-pci" }, nvme);
  expect(readBinding(machine.files, nvme).driverOverride).toBe("vfio-pci");
  const missing = refusal(() => write({ path: "/sys/bus/pci/drivers/gone/bind", value: nvme }, nvme));
  expect(missing).toMatchObject({ code: "ENOENT", device: nvme, request: "/sys/bus/pci/drivers/gone/bind" });
  expect(missing.message).toBe(
    `${nvme}: cannot write "${nvme}" to /sys/bus/pci/drivers/gone/bind: ENOENT: no such file or directory`,
  );
  expect(missing.hint).toContain("bun-vfio ls");
  expect(new Sysroot(machine.root).exists("/sys/bus/pci/drivers/gone")).toBe(false);
});
