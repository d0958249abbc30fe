import { describe, expect, test } from "bun:test";
import {
  blockers,
  deviceHint,
  heldBy,
  joinHint,
  missingNode,
  openHint,
} from "../../../../src/device/backends/kernel/open-hints.ts";
import { nodeHolders } from "../../../../src/device/host/node-holders.ts";
import { groupIdOf } from "../../../../src/device/host/vfio-nodes.ts";
import { fakeHost, type FakeHost } from "./fake-host.ts";

const bdf = "0000:01:00.0";

function host(): FakeHost {
  const fake = fakeHost();
  fake.device(bdf, { driver: "vfio-pci", group: 12, vfioDev: "vfio3" });
  return fake;
}

describe("a group that is not viable", () => {
  test("is blocked by host drivers, by name; bridges, VFIO's own and unbound devices are fine", () => {
    using fake = host();
    fake.device("0000:00:01.0", { driver: "pcieport", group: 12, classCode: "0x060400" });
    fake.device("0000:01:00.1", { driver: "snd_hda_intel", group: 12, classCode: "0x040300" });
    fake.device("0000:01:00.2", { group: 12 });
    fake.device("0000:01:00.3", { driver: "mlx5_vfio_pci", group: 12 });
    fake.device("0000:01:00.4", { driver: "pci-stub", group: 12 });
    fake.device("0000:02:00.0", { driver: "nvme", group: 13 });
    const hint = blockers(fake.files, 12)!;
    expect(hint).toStartWith(
      "Group 12 is blocked by 0000:01:00.1 (snd_hda_intel); fine: 0000:00:01.0 (pcieport), ",
    );
    expect(hint).toContain("0000:01:00.2 (no driver)");
    expect(hint).toContain("echo vfio-pci > /sys/bus/pci/devices/0000:01:00.1/driver_override");
    expect(hint).not.toContain("0000:00:01.0/driver_override");
    for (const code of ["EPERM", "EBUSY", "EINVAL"]) expect(joinHint(fake.files, bdf, 12, code)).toBe(hint);
  });

  test("without a blocker it is another's, or interrupts are not remapped", () => {
    using fake = host();
    fake.file("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
    expect(blockers(fake.files, 12)).toBeUndefined();
    expect(joinHint(fake.files, bdf, 12, "EPERM")).toContain(
      "echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
    );
    expect(joinHint(fake.files, bdf, 12, "EBUSY")).toContain("has it open. Run as root");
    expect(joinHint(fake.files, bdf, 12, "ENOTTY")).toContain("use iommufd");
    expect(joinHint(fake.files, bdf, 12, "EIO")).toBeUndefined();
  });
});

describe("a device that is held", () => {
  test("names the processes, and this one apart", () => {
    using fake = host();
    const node = fake.node("vfio/12");
    fake.process(4711, "qemu-system-x86", "/dev/null", node);
    fake.process(4712, "sh", "/dev/null");
    expect(heldBy(fake.files, bdf)).toBe(`${bdf} is held by qemu-system-x86 (pid 4711).`);
    fake.process(process.pid, "bun", "/dev/null", "/dev/zero", node);
    expect(heldBy(fake.files, bdf)).toContain(`this process (pid ${process.pid})`);
    expect(heldBy(fake.files, bdf)).toContain(
      "Close what is open here first: mappings, the device, its group, the container",
    );
    // Our own descriptor, just opened, holds nothing.
    expect(nodeHolders(fake.files, [node], 2)).toEqual([{ pid: 4711, name: "qemu-system-x86", node }]);
  });

  test("by its cdev too, which the kernel calls EINVAL", () => {
    using fake = host();
    fake.process(4711, "other", fake.node("vfio/devices/vfio3"));
    expect(deviceHint(fake.files, bdf, false, "EINVAL", 9)).toContain("other (pid 4711)");
    expect(openHint(fake.files, bdf, "/dev/vfio/12", "EBUSY")).toContain("other (pid 4711)");
  });
});

describe("a device that is not given", () => {
  test("a virtual function without its token, or with a wrong one", () => {
    using fake = host();
    fake.device("0000:01:10.0", { driver: "vfio-pci", group: 20, physicalFunction: bdf });
    expect(deviceHint(fake.files, "0000:01:10.0", false, "EACCES")).toBe(
      `0000:01:10.0 is a virtual function of ${bdf}, which is used through VFIO too: pass the VF token that its user has set.`,
    );
    expect(deviceHint(fake.files, "0000:01:10.0", true, "EACCES")).toContain("not the VF token");
    expect(deviceHint(fake.files, bdf, false, "EACCES")).toContain("has virtual ones in use");
    expect(deviceHint(fake.files, bdf, true, "EINVAL")).toContain("Linux 6.18");
  });

  test("a node that is not there, or not ours", () => {
    using fake = host();
    expect(openHint(fake.files, bdf, `/dev/iommu`, "ENOENT")).toContain("CONFIG_IOMMUFD");
    expect(openHint(fake.files, undefined, `/dev/vfio/vfio`, "ENOENT")).toContain("modprobe vfio-pci");
    expect(openHint(fake.files, bdf, "/dev/vfio/12", "EACCES")).toContain("udev rule");
    expect(openHint(fake.files, bdf, "/dev/vfio/noiommu-0", "EPERM")).toContain("CAP_SYS_RAWIO");
    expect(openHint(fake.files, bdf, "/dev/vfio/12", "EIO")).toBeUndefined();
  });

  test("no group at all: the IOMMU is off", () => {
    using fake = fakeHost();
    fake.device(bdf, { driver: "vfio-pci" });
    expect(groupIdOf(fake.files, bdf)).toBeUndefined();
    expect(missingNode(fake.files, bdf)).toContain("intel_iommu=on");
  });
});
