import { expect, setDefaultTimeout, test } from "bun:test";
import { readPciDevice, readPciDevices } from "../../../src/device/host/pci-device.ts";
import { readPciNames } from "../../../src/device/host/pci-names.ts";
import { Sysroot } from "../../../src/device/host/sysroot.ts";
import { parseResources } from "../../../src/device/host/resources.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const nvme = "0000:02:00.0";

test("a function: what sysfs tells of it", () => {
  using machine = new Machine();
  machine.put(`${machine.folder(nvme)}/boot_vga`, "1");
  machine.put(`${machine.folder(nvme)}/numa_node`, "1");
  expect(readPciDevice(machine.files, "2:0.0")).toEqual({
    bdf: nvme,
    path: "/sys/devices/pci0000:00/0000:00:02.1/0000:02:00.0",
    vendorId: 0x1b36,
    deviceId: 0x0010,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    classCode: 0x010802,
    revision: 2,
    bridge: false,
    driver: "nvme",
    driverOverride: undefined,
    vfio: false,
    iommuGroup: 12,
    noiommu: false,
    numaNode: 1,
    physicalFunction: undefined,
    virtualFunctions: [],
    maxVirtualFunctions: undefined,
    resetMethods: ["flr", "bus"],
    resettable: true,
    bootVga: true,
    resources: [
      { index: 0, start: 0xfd200000, size: 0x4000, kind: "memory", prefetchable: false, wide: true },
    ],
    configBytes: 4096,
    cdev: undefined,
    modalias: "pci:v00001b36",
    problems: [],
  });
});

test("all functions in their order, bridges and virtual functions known as such", () => {
  using machine = new Machine();
  machine.put("/sys/bus/pci/devices/not a function/vendor", "0x1");
  const devices = readPciDevices(machine.files);
  expect(devices.map(({ bdf }) => bdf)).toHaveLength(16);
  expect(devices.map(({ bdf }) => bdf)).toEqual(devices.map(({ bdf }) => bdf).sort());
  expect(devices.filter(({ bridge }) => bridge).map(({ bdf }) => bdf)).toEqual([
    "0000:00:02.0",
    "0000:00:02.1",
    "0000:00:02.2",
    "0000:00:02.3",
    "0000:00:03.0",
  ]);
  const one = (bdf: string) => devices.find((device) => device.bdf === bdf)!;
  expect(one("0000:04:00.0").virtualFunctions).toEqual(["0000:04:10.0", "0000:04:10.2"]);
  expect(one("0000:04:00.0").maxVirtualFunctions).toBe(7);
  expect(one("0000:04:10.2").physicalFunction).toBe("0000:04:00.0");
  expect(one("0000:00:1f.2").resettable).toBe(false);
});

test("domains above 16 bits come last", () => {
  using machine = new Machine();
  const far = "10000:e1:00.0";
  machine.put(`/sys/devices/pci10000:e1/${far}/vendor`, "0x8086");
  machine.link(`/sys/bus/pci/devices/${far}`, `/sys/devices/pci10000:e1/${far}`);
  expect(readPciDevices(machine.files).at(-1)?.bdf).toBe(far);
});

test("a VFIO driver is known by its name, or by what it makes", () => {
  using machine = new Machine();
  const vfio = (driver: string): boolean => {
    machine.bind(nvme, driver);
    return readPciDevice(machine.files, nvme)!.vfio;
  };
  expect(["vfio-pci", "mlx5_vfio_pci", "hisi-acc-vfio-pci"].map(vfio)).toEqual([true, true, true]);
  expect(["nvme", "pci-stub", "vfio-pci-like"].map(vfio)).toEqual([false, false, false]);
  machine.put(`${machine.folder(nvme)}/vfio-dev/vfio3/dev`, "511:3");
  expect(vfio("qat_of_another_name")).toBe(true);
});

test("its character device counts where there is a node of it", () => {
  using machine = new Machine();
  machine.bind(nvme, "vfio-pci");
  machine.put(`${machine.folder(nvme)}/vfio-dev/vfio3/dev`, "511:3");
  expect(readPciDevice(machine.files, nvme)?.cdev).toBeUndefined();
  machine.put("/dev/vfio/devices/vfio3", "");
  expect(readPciDevice(machine.files, nvme)?.cdev).toBe("vfio3");
});

test("an override and a missing driver", () => {
  using machine = new Machine();
  machine.bind(nvme, undefined);
  machine.put(`${machine.folder(nvme)}/driver_override`, "vfio-pci");
  expect(readPciDevice(machine.files, nvme)).toMatchObject({ driver: undefined, driverOverride: "vfio-pci" });
});

test("content that makes no sense is told, and nothing is made of it", () => {
  using machine = new Machine();
  const folder = machine.folder(nvme);
  machine.put(`${folder}/class`, "0x0108zz");
  machine.put(`${folder}/vendor`, "0x123456789");
  machine.put(`${folder}/numa_node`, "many\u001b[31m");
  machine.put(`${folder}/resource`, "0x1 0x2");
  machine.put(`${folder}/config`, new Uint8Array(0));
  machine.put(`${folder}/modalias`, "x".repeat(100_000));
  const device = readPciDevice(machine.files, nvme)!;
  expect(device).toMatchObject({
    classCode: undefined,
    vendorId: undefined,
    numaNode: undefined,
    resources: [],
    configBytes: 0,
  });
  expect(device.modalias).toHaveLength(4096);
  expect(device.problems).toEqual([
    'class: "0x0108zz"',
    'numa_node: "many\\u001b[31m"',
    'vendor: "0x123456789"',
    'resource: "0x1 0x2"',
  ]);
});

test("a function that is not there, and a name that is none", () => {
  using machine = new Machine();
  expect(readPciDevice(machine.files, "0000:77:00.0")).toBeUndefined();
  expect(() => readPciDevice(machine.files, "../..")).toThrow(RangeError);
  expect(readPciDevices(new Sysroot(machine.at("/nowhere")))).toEqual([]);
});

test("64 bytes of config space without privileges", () => {
  using machine = new Machine();
  machine.put(`${machine.folder(nvme)}/config`, new Uint8Array(64));
  expect(readPciDevice(machine.files, nvme)?.configBytes).toBe(64);
});

test("resources: sizes, kinds, and what is none", () => {
  const row = (start: string, end: string, flags: string): string =>
    [start, end, flags].map((digits) => `0x${digits.padStart(16, "0")}`).join(" ");
  expect(
    parseResources(
      [row("0", "0", "0"), row("c000", "c01f", "40101"), row("3800000000", "3bffffffff", "14220c")].join(
        "\n",
      ),
    ),
  ).toEqual([
    { index: 1, start: 0xc000, size: 0x20, kind: "io", prefetchable: false, wide: false },
    { index: 2, start: 0x3800000000, size: 2 ** 34, kind: "memory", prefetchable: true, wide: true },
  ]);
  expect(parseResources(row("2000", "1000", "200"))).toBeUndefined();
  expect(parseResources(row("0", "f".repeat(16), "200"))).toBeUndefined();
  expect(parseResources("")).toBeUndefined();
});

test("names of the database, its classes apart from its vendors", () => {
  using machine = new Machine();
  const names = readPciNames(machine.files);
  expect([...names.vendor]).toEqual([
    [0x1b36, "Red Hat, Inc."],
    [0x8086, "Intel Corporation"],
  ]);
  expect([...names.device]).toEqual([[0x1b360010, "QEMU NVM Express Controller"]]);
  expect([...names.class]).toEqual([[0x0108, "Non-Volatile memory controller"]]);
});
