import { expect, setDefaultTimeout, test } from "bun:test";
import { readHostInfo } from "../../../src/device/host/host-info.ts";
import { nodeHolders } from "../../../src/device/host/node-holders.ts";
import { deviceNodes } from "../../../src/device/host/vfio-nodes.ts";
import { readPciDevice } from "../../../src/device/host/pci-device.ts";
import { Sysroot } from "../../../src/device/host/sysroot.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

test("a host with VT-d", () => {
  using machine = new Machine();
  expect(readHostInfo(machine.files)).toMatchObject({
    kernel: "Linux 6.12.95",
    iommus: [
      { name: "dmar0", type: "intel", addressBits: 48, remapsInterrupts: true },
      { name: "dmar1", type: "intel", addressBits: 48, remapsInterrupts: true },
    ],
    interruptsIsolated: true,
    unsafeInterrupts: false,
    noiommu: false,
    modules: ["vfio", "vfio_pci", "vfio_iommu_type1", "iommufd"],
    memlock: { soft: 8388608, hard: 8388608, ignored: false },
  });
});

test("other IOMMUs by their names", () => {
  using machine = new Machine();
  const add = (name: string, path: string): void => {
    machine.put(`${path}/devices/x`, "");
    machine.link(`/sys/class/iommu/${name}`, path);
  };
  add("ivhd0", "/sys/devices/pci0000:00/0000:00:00.2/iommu/ivhd0");
  add("smmu3.0x0000000009050000", "/sys/devices/platform/arm-smmu-v3.0.auto/iommu/smmu3.0x0000000009050000");
  add("0000:00:04.0", "/sys/devices/pci0000:00/0000:00:04.0/virtio2/iommu/0000:00:04.0");
  add("s390-iommu.0", "/sys/devices/pci0000:00/iommu/s390-iommu.0");
  const types = readHostInfo(machine.files).iommus.map(({ type }) => type);
  expect(types).toEqual(["virtio", "intel", "intel", "amd", "other", "smmu"]);
});

test("what /proc/interrupts tells of remapping", () => {
  using machine = new Machine();
  const isolated = (line: string): boolean | undefined => {
    machine.put("/proc/interrupts", `   CPU0\n 24: 0 ${line}`);
    return readHostInfo(machine.files).interruptsIsolated;
  };
  expect(isolated("IR-IO-APIC   2-edge  timer")).toBe(true);
  expect(isolated("ITS-MSI 81920 Edge  nvme0q0")).toBe(true);
  expect(isolated("PCI-MSI-0000:00:01.0  0-edge  x")).toBe(false);
  expect(isolated("GICv3  30 Level  arch_timer")).toBeUndefined();
});

test("limits, capabilities, parameters", () => {
  using machine = new Machine();
  machine.put("/proc/self/limits", "Max locked memory         65536   unlimited    bytes     ");
  machine.put("/proc/self/status", "CapEff:\t0000000000004000");
  machine.put("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "Y");
  expect(readHostInfo(machine.files)).toMatchObject({
    memlock: { soft: 65536, hard: undefined, ignored: true },
    unsafeInterrupts: true,
  });
  machine.put("/proc/self/limits", "Max locked memory         many   few    bytes     ");
  expect(readHostInfo(machine.files).memlock).toBeUndefined();
});

test("a host that tells nothing", () => {
  using machine = new Machine();
  expect(readHostInfo(new Sysroot(machine.at("/nowhere")))).toEqual({
    kernel: undefined,
    architecture: undefined,
    iommus: [],
    firmwareIommu: undefined,
    commandLine: [],
    interruptsIsolated: undefined,
    armMessages: undefined,
    unsafeInterrupts: false,
    noiommu: undefined,
    modules: [],
    drivers: [],
    memlock: undefined,
  });
});

test("who has the nodes of a device open", () => {
  using machine = new Machine();
  machine.bind("0000:02:00.0", "vfio-pci");
  const device = readPciDevice(machine.files, "0000:02:00.0")!;
  const nodes = deviceNodes(machine.files, device.bdf);
  expect(nodes).toEqual(["/dev/vfio/12"]);
  machine.put("/proc/41/comm", "qemu");
  machine.open(41, 7, "/dev/vfio/12");
  machine.open(41, 8, "/dev/vfio/12");
  machine.open(42, 3, "/dev/vfio/13");
  expect(nodeHolders(machine.files, nodes)).toEqual([{ pid: 41, name: "qemu", node: "/dev/vfio/12" }]);
});
