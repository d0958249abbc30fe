import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  attributeWriter,
  bindingWrites,
  readBinding,
  rebind,
  toBefore,
  toDriver,
  toHost,
  type Rebinding,
  type WantedBinding,
} from "../../../src/device/host/binding.ts";
import { HostFiles } from "../../../src/device/host/host-files.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import { Machine } from "../../support/host-machine.ts";
import { refusal } from "../../support/refusal.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const [nvme, ahci, edu] = ["0000:02:00.0", "0000:09:00.0", "0000:01:00.0"] as const;
const to = (machine: Machine, bdf: string, wanted: WantedBinding): Rebinding => ({
  now: readBinding(machine.files, bdf),
  wanted,
});
const all = (machine: Machine): unknown => [nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf));

describe("the writes", () => {
  const folder = `/sys/bus/pci/devices/${nvme}`;
  const lines = (...args: Parameters<typeof bindingWrites>): string[] =>
    bindingWrites(...args).map(({ path, value }) => `${value} > ${path}`);
  const host = { bdf: nvme, driver: "nvme", driverOverride: undefined };
  const bound = { bdf: nvme, driver: "vfio-pci", driverOverride: "vfio-pci" };
  const probe = `${nvme} > /sys/bus/pci/drivers_probe`;
  const unbind = `${nvme} > ${folder}/driver/unbind`;

  test("to a VFIO driver: the override, then away from the old one, then a probe", () => {
    expect(lines(host, toDriver("vfio-pci"))).toEqual([
      `vfio-pci > ${folder}/driver_override`,
      unbind,
      probe,
    ]);
    expect(lines({ ...host, driver: undefined }, toDriver("vfio-pci"))).toHaveLength(2);
    expect(lines(bound, toDriver("vfio-pci"))).toEqual([]);
  });
  test("back to the host: no override, then a probe of whoever claims it", () => {
    expect(lines(bound, toHost)).toEqual([` > ${folder}/driver_override`, unbind, probe]);
    expect(lines({ ...bound, driverOverride: undefined }, toHost)).toEqual([unbind, probe]);
  });
  test("back to what it had: that driver by its name, or none", () => {
    expect(lines(bound, toBefore(host))).toEqual([
      ` > ${folder}/driver_override`,
      unbind,
      `${nvme} > /sys/bus/pci/drivers/nvme/bind`,
    ]);
    expect(lines(bound, toBefore({ ...host, driver: undefined }))).toEqual([
      ` > ${folder}/driver_override`,
      unbind,
    ]);
    expect(lines(host, toBefore(bound)).at(-1)).toBe(probe);
    expect(lines(host, toBefore(host))).toEqual([]);
  });
});

test("several functions there and back again", () => {
  using machine = new Machine();
  const before = [nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf));
  rebind(
    machine.files,
    [nvme, ahci, edu].map((bdf) => to(machine, bdf, toDriver("vfio-pci"))),
    machine.write,
  );
  expect([nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf))).toEqual(
    [nvme, ahci, edu].map((bdf) => ({ bdf, driver: "vfio-pci", driverOverride: "vfio-pci" })),
  );
  rebind(
    machine.files,
    before.map((one) => to(machine, one.bdf, toBefore(one))),
    machine.write,
  );
  expect(all(machine)).toEqual(before);
});

test("whichever write fails, everything is as before", () => {
  using counted = new Machine();
  const wanted = (machine: Machine): Rebinding[] =>
    [nvme, edu, ahci].map((bdf) => to(machine, bdf, toDriver("vfio-pci")));
  rebind(counted.files, wanted(counted), counted.write);
  expect(counted.written.length).toBe(8);
  // One machine serves for all: each time it has to be as it was.
  using machine = new Machine();
  const before = all(machine);
  for (const line of counted.written) {
    let broken = false;
    const error = refusal(() =>
      rebind(machine.files, wanted(machine), (write, bdf) => {
        if (!broken && `echo ${write.value} > ${write.path}` === line) {
          broken = true;
          throw new VfioError(`${bdf}: no`, { code: "EIO", device: bdf, hint: "Wait." });
        }
        machine.write(write, bdf);
      }),
    );
    expect(error.message).toMatch(/^0000:0\d:00\.0: no; everything was taken back$/);
    expect(error).toMatchObject({ code: "EIO", hint: "Wait." });
    expect(all(machine)).toEqual(before);
  }
});

test("a driver that refuses is noticed, though no write failed", () => {
  using machine = new Machine();
  const before = all(machine);
  machine.refused.add(ahci);
  const error = refusal(() =>
    rebind(
      machine.files,
      [nvme, ahci].map((bdf) => to(machine, bdf, toDriver("vfio-pci"))),
      machine.write,
    ),
  );
  // Nor does its old driver take it back, here.
  expect(error.message).toBe(
    "0000:09:00.0 has no driver after it should be bound to vfio-pci; could not be taken back: 0000:09:00.0 has no driver after it should be bound to ahci",
  );
  machine.refused.clear();
  machine.bind(ahci, "ahci");
  expect(all(machine)).toEqual(before);
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
  expect(new HostFiles(machine.root).exists("/sys/bus/pci/drivers/gone")).toBe(false);
});
