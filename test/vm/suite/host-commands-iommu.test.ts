// machines: (virtio, none) [none-new]
// The host commands where interrupts are not remapped, and where there is no IOMMU.
import { afterAll, afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { bunVfio, json } from "./support/command.ts";
import { bindTo, deviceNames, driverOf, find, hasIommu, sysDevices } from "./support/devices.ts";

interface Checks {
  readonly checks: readonly { readonly name: string; readonly status: string; readonly fix: string | null }[];
}
const edu = find("edu");
const set = (module: string, parameter: string, value: "0" | "1"): void =>
  writeFileSync(`/sys/module/${module}/parameters/${parameter}`, value);
const check = (name: string): [string, string | null] => {
  const { status, fix } = json<Checks>("doctor", edu).checks.find((one) => one.name === name)!;
  return [status, fix];
};
const verdict = (): string => {
  const [device] = json<{ devices: { verdict: { state: string; reason: string } }[] }>("ls", edu).devices;
  return `${device!.verdict.state} ${device!.verdict.reason}`.trim();
};

if (hasIommu) {
  const unsafe = (value: "0" | "1"): void => {
    for (const module of ["vfio_iommu_type1", "iommufd"]) set(module, "allow_unsafe_interrupts", value);
  };
  afterEach(() => unsafe("1"));

  test("doctor says that interrupts are not remapped, and that VFIO was told to accept it, or has to be", () => {
    expect(check("iommu")).toEqual(["ok", null]);
    expect(check("interrupt-remapping")).toEqual(["note", null]);
    unsafe("0");
    expect(check("interrupt-remapping")).toEqual([
      "missing",
      "turn it on in the firmware's setup, or trust the device and set allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
    ]);
  });

  test("groups names the kind of the IOMMU", () => {
    const { iommus } = json<{ iommus: { type: string }[] }>("groups");
    expect(iommus.map(({ type }) => type)).toEqual(["virtio"]);
  });
} else {
  const mode = (value: "0" | "1"): void => set("vfio", "enable_unsafe_noiommu_mode", value);
  afterAll(() => {
    mode("1");
    bindTo(edu, undefined);
  });

  test("nothing can be passed through, and each command says so", () => {
    // Those that are bound to vfio-pci keep their groups, and test files share a machine.
    for (const name of deviceNames) bindTo(find(name), undefined);
    mode("0");
    expect(verdict()).toBe("no-iommu");
    expect(bunVfio("groups").out).toStartWith("no IOMMU groups: no IOMMU is on");
    expect(bunVfio("groups", edu)).toMatchObject({
      code: 2,
      err: expect.stringContaining("it is in no IOMMU group"),
    });
    expect(bunVfio("doctor").code).toBe(1);
    expect(check("iommu")).toEqual([
      "missing",
      expect.stringContaining("give the virtual machine a virtual IOMMU (QEMU: "),
    ]);
    expect(check("group")[0]).toBe("missing");
  });

  test("bind refuses; forced, it takes everything back that the kernel refuses", () => {
    bindTo(edu, undefined);
    writeFileSync(`${sysDevices}/${edu}/driver_override`, "\n");
    mode("0");
    expect(bunVfio("bind", edu).err).toContain("no IOMMU stands before it");
    expect(bunVfio("bind", "--force", edu)).toMatchObject({
      code: 2,
      err: expect.stringContaining("everything was taken back"),
    });
    expect(driverOf(edu)).toBeUndefined();
    expect(readFileSync(`${sysDevices}/${edu}/driver_override`, "utf8").trim()).toBe("(null)");
  });

  test("with VFIO told to do without, a device is bound, ready, opened, and given back", () => {
    bindTo(edu, undefined);
    mode("1");
    expect(verdict()).toBe("bindable without an IOMMU");
    expect(bunVfio("bind", edu)).toMatchObject({ code: 0, err: "" });
    expect(verdict()).toBe("ready without an IOMMU");
    expect(bunVfio("groups", edu)).toMatchObject({
      code: 0,
      out: expect.stringContaining("ready, without an IOMMU"),
    });
    expect(bunVfio("doctor", edu).out).not.toContain("✗");
    openDevice(edu, { api: "noiommu" })[Symbol.dispose]();
    expect(bunVfio("unbind", edu)).toMatchObject({ code: 0, err: "" });
    expect(verdict()).toBe("bindable without an IOMMU");
  });
}
