import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseReserved, readGroup, readGroups } from "../../../src/device/host/iommu-group.ts";
import { readPciDevice, readPciDevices } from "../../../src/device/host/pci-device.ts";
import { readHostInfo } from "../../../src/device/host/host-info.ts";
import { readInUse } from "../../../src/device/host/in-use.ts";
import { deviceVerdict, groupReason } from "../../../src/device/host/verdict.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const states = (machine: Machine, id: number): Record<string, string> =>
  Object.fromEntries(readGroup(machine.files, id)!.members.map(({ name, state }) => [name.slice(5), state]));

test("groups by number, with members, type and what they reserve", () => {
  using machine = new Machine();
  const groups = readGroups(machine.files, readPciDevices(machine.files));
  expect(groups.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 19, 20, 21]);
  expect(groups.find(({ id }) => id === 12)).toMatchObject({
    domain: "DMA-FQ",
    noiommu: false,
    viable: false,
    reserved: [{ start: 0xfee00000n, end: 0xfeefffffn, kind: "msi" }],
  });
  expect(readGroup(machine.files, 99)).toBeUndefined();
});

test("a driver of the host blocks its group, and no other does", () => {
  using machine = new Machine();
  expect(states(machine, 10)).toEqual({ "00:1f.0": "unbound", "00:1f.2": "blocks", "00:1f.3": "unbound" });
  expect(readGroup(machine.files, 10)?.viable).toBe(false);
  machine.bind("0000:00:1f.2", "vfio-pci");
  machine.bind("0000:00:1f.3", "pci-stub");
  expect(states(machine, 10)).toEqual({ "00:1f.0": "unbound", "00:1f.2": "vfio", "00:1f.3": "stub" });
  expect(readGroup(machine.files, 10)?.viable).toBe(true);
  machine.bind("0000:00:1f.3", "i801_smbus");
  expect(readGroup(machine.files, 10)?.viable).toBe(false);
});

test("a root port in the group is fine; a bridge with another driver is not, nor is the ISA bridge's", () => {
  using machine = new Machine();
  const folder = machine.folder("0000:00:02.1");
  machine.link(`/sys/kernel/iommu_groups/12/devices/0000:00:02.1`, folder);
  machine.bind("0000:02:00.0", "vfio-pci");
  expect(states(machine, 12)).toEqual({ "00:02.1": "bridge", "02:00.0": "vfio" });
  expect(readGroup(machine.files, 12)?.viable).toBe(true);
  machine.bind("0000:00:02.1", "shpchp");
  expect(states(machine, 12)["00:02.1"]).toBe("blocks");
  machine.bind("0000:00:02.1", undefined);
  expect(states(machine, 12)["00:02.1"]).toBe("bridge");
  machine.bind("0000:00:1f.0", "lpc_ich");
  expect(states(machine, 10)["00:1f.0"]).toBe("blocks");
});

test("a member that is no PCI function", () => {
  using machine = new Machine();
  machine.put("/sys/devices/platform/4000000.dma/x", "");
  machine.link("/sys/devices/platform/4000000.dma/driver", "/sys/bus/platform/drivers/dma-engine");
  machine.link("/sys/kernel/iommu_groups/12/devices/4000000.dma", "/sys/devices/platform/4000000.dma");
  expect(readGroup(machine.files, 12)?.members[1]).toEqual({
    name: "4000000.dma",
    driver: "dma-engine",
    state: "blocks",
    pci: undefined,
  });
});

test("lines of reserved regions that make no sense are left out, and their number is bounded", () => {
  expect(
    parseReserved([
      "0x00000000000a0000 0x00000000000bffff direct-relaxable",
      "0x2 0x1 msi",
      "nothing",
      "0x0 0xffffffffffffffff reserved",
    ]),
  ).toEqual([
    { start: 0xa0000n, end: 0xbffffn, kind: "direct-relaxable" },
    { start: 0n, end: 2n ** 64n - 1n, kind: "reserved" },
  ]);
  expect(parseReserved(Array<string>(10_000).fill("0x0 0x1 msi"))).toHaveLength(4096);
});

describe("the verdict", () => {
  const verdict = (machine: Machine, bdf: string): string => {
    const devices = readPciDevices(machine.files);
    const device = devices.find((one) => one.bdf === `0000:${bdf}`)!;
    const group = readGroups(machine.files, devices).find(({ id }) => id === device.iommuGroup);
    const { state, reason } = deviceVerdict(
      device,
      group,
      readInUse(machine.files),
      readHostInfo(machine.files),
    );
    return `${state} ${reason}`.trim();
  };

  test("of functions alone in their groups", () => {
    using machine = new Machine();
    machine.bind("0000:01:00.0", "vfio-pci");
    expect(
      ["00:00.0", "00:02.0", "00:1f.0", "01:00.0", "02:00.0"].map((bdf) => verdict(machine, bdf)),
    ).toEqual(["bridge", "bridge", "bridge", "ready", "bindable"]);
  });

  test("of functions that share one", () => {
    using machine = new Machine();
    expect(verdict(machine, "00:1f.3")).toBe("bindable together with 0000:00:1f.2 (ahci)");
    expect(verdict(machine, "00:1f.2")).toBe("bindable");
    machine.bind("0000:00:1f.3", "vfio-pci");
    expect(verdict(machine, "00:1f.3")).toBe("blocked by 0000:00:1f.2 (ahci)");
    machine.block("0000:00:1f.2", "ata1/host0/block/sda", "8:0");
    machine.put("/proc/self/mountinfo", "22 1 8:0 / /srv rw - ext4 /dev/sda rw");
    expect(verdict(machine, "00:1f.2")).toBe("in-use sda is mounted at /srv");
    machine.bind("0000:00:1f.3", undefined);
    expect(verdict(machine, "00:1f.3")).toBe("in-use sda is mounted at /srv");
  });

  test("of a console, and of a physical function: in use, as bind says", () => {
    using machine = new Machine();
    machine.put(`${machine.folder("0000:01:00.0")}/boot_vga`, "1");
    expect(verdict(machine, "01:00.0")).toBe("in-use the firmware's console is on it");
    expect(verdict(machine, "04:00.0")).toBe("in-use virtual functions of it are on (2)");
    machine.bind("0000:04:00.0", "vfio-pci");
    expect(verdict(machine, "04:00.0")).toBe("ready");
  });

  test("without an IOMMU", () => {
    using machine = new Machine();
    machine.unlink(`${machine.folder("0000:02:00.0")}/iommu_group`);
    expect(verdict(machine, "02:00.0")).toBe("no-iommu");
    machine.put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
    expect(verdict(machine, "02:00.0")).toBe("bindable without an IOMMU");
    // Binding makes a group then.
    machine.link(`${machine.folder("0000:02:00.0")}/iommu_group`, "/sys/kernel/iommu_groups/12");
    machine.put("/sys/kernel/iommu_groups/12/name", "vfio-noiommu");
    machine.bind("0000:02:00.0", "vfio-pci");
    expect(verdict(machine, "02:00.0")).toBe("ready without an IOMMU");
  });

  test("without an IOMMU on Linux 7.3: by its own node too, whatever the mode is by now", () => {
    using machine = new Machine();
    const bdf = "0000:02:00.0";
    machine.unlink(`${machine.folder(bdf)}/iommu_group`);
    machine.bind(bdf, "vfio-pci");
    machine.put(`${machine.folder(bdf)}/vfio-dev/noiommu-vfio0/dev`, "511:0");
    machine.put("/dev/vfio/devices/noiommu-vfio0", "");
    expect(verdict(machine, "02:00.0")).toBe("ready without an IOMMU");
    expect(readPciDevice(machine.files, bdf)).toMatchObject({ noiommu: true, cdev: "noiommu-vfio0" });
    machine.link(`${machine.folder(bdf)}/iommu_group`, "/sys/kernel/iommu_groups/12");
    expect(verdict(machine, "02:00.0")).toBe("ready without an IOMMU");
  });

  test("of a group names the culprits", () => {
    using machine = new Machine();
    expect(groupReason(readGroup(machine.files, 10)!)).toBe(
      "held by the host: 0000:00:1f.2 is bound to ahci",
    );
    expect(groupReason(readGroup(machine.files, 11)!)).toBe("no member is bound to a VFIO driver yet");
    expect(groupReason(readGroup(machine.files, 1)!)).toBe("bridges alone: nothing to pass through");
  });
});
