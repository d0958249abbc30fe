// The commands about a host's devices, on a copy of a recorded machine.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { recordCommand } from "../../src/cli/record.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { readImage } from "../../src/image/index.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, json, nvme, run } from "./on-machine.ts";
import { bunVfio, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

describe("ls", () => {
  test("a table, its columns aligned and without colours", () => {
    using machine = new Machine();
    busy(machine);
    machine.bind("0000:01:00.0", "vfio-pci");
    const { code, out, err } = run(machine, "ls");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.split("\n");
    expect(lines[0]).toMatch(/^BDF {11}CLASS +ID +DRIVER +GROUP +NUMA +CDEV +VERDICT$/);
    const at = lines[0]!.indexOf("VERDICT");
    expect(lines.slice(1, -1).map((line) => line[at - 1])).toEqual(Array<string>(16).fill(" "));
    expect(lines.find((line) => line.startsWith(nvme))).toMatch(
      /^0000:02:00\.0 {2}0108 Non-Volatile memory controller {2}1b36:0010 QEMU NVM Express Controller {2}nvme +12 +- +- +in use: nvme0n1 is mounted at \/$/,
    );
    expect(lines.find((line) => line.startsWith("0000:01:00.0"))).toEndWith(" ready");
    expect(out).not.toContain("\u001b");
  });

  test("--json has every key, null where the host does not say", () => {
    using machine = new Machine();
    const { formatVersion, devices } = json(machine, "ls") as { formatVersion: number; devices: unknown[] };
    expect(formatVersion).toBe(1);
    expect(devices.find((device) => (device as { bdf: string }).bdf === nvme)).toEqual({
      bdf: nvme,
      vendorId: 0x1b36,
      deviceId: 0x10,
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      classCode: 0x010802,
      revision: 2,
      className: "Non-Volatile memory controller",
      vendorName: "Red Hat, Inc.",
      name: "QEMU NVM Express Controller",
      bridge: false,
      driver: "nvme",
      driverOverride: null,
      vfio: false,
      iommuGroup: 12,
      noiommu: false,
      numaNode: null,
      physicalFunction: null,
      virtualFunctions: [],
      maxVirtualFunctions: null,
      resetMethods: ["flr", "bus"],
      resettable: true,
      bootVga: false,
      resources: [
        { index: 0, start: 0xfd200000, size: 0x4000, kind: "memory", prefetchable: false, wide: true },
      ],
      configBytes: 4096,
      cdev: null,
      modalias: "pci:v00001b36",
      problems: [],
      verdict: { state: "bindable", reason: "", culprits: [] },
    });
  });

  test("hostile text cannot drive a terminal", () => {
    using machine = new Machine();
    machine.put(`${machine.folder(nvme)}/class`, "\u001b[2Jx\ny");
    machine.bind(nvme, "a\u001b]0;x");
    const { code, out } = run(machine, "ls");
    expect(code).toBe(0);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("0000:02:00.0: sysfs makes no sense: class: ");
  });

  test("a host without PCI", () => {
    using folder = temporary();
    const env = { BUN_VFIO_ROOT: folder.path };
    expect(bunVfio(["ls"], { env })).toMatchObject({ code: 0, err: "" });
    expect(bunVfio(["groups"], { env }).out).toBe(
      "no IOMMU groups: no IOMMU is on; bun-vfio doctor tells what to do about it\n",
    );
  });
});

describe("groups", () => {
  test("a tree with the verdict, its reason, and the culprits", () => {
    using machine = new Machine();
    busy(machine);
    const { code, out } = run(machine, "groups");
    expect(code).toBe(0);
    expect(out).toContain(`Group 10 (DMA-FQ): not viable, held by the host: 0000:00:1f.2 is bound to ahci
├─ 0000:00:1f.0 0601 8086:2918 Intel Corporation: fine, without a driver
├─ 0000:00:1f.2 0106 8086:2922 Intel Corporation [ahci]: blocks
└─ 0000:00:1f.3 0c05 8086:2930 Intel Corporation: fine, without a driver
`);
    expect(out).toContain("[nvme]: blocks\n      nvme0n1 is mounted at /\n");
  });

  test("of some functions; the exit code tells whether theirs are viable", () => {
    using machine = new Machine();
    expect(run(machine, "groups", "00:1f.3", "2:0.0")).toMatchObject({ code: 1 });
    machine.bind(nvme, "vfio-pci");
    const one = run(machine, "groups", "2:0.0");
    expect(one.code).toBe(0);
    expect(one.out).toBe(
      "Group 12 (DMA-FQ): viable, no driver of the host holds a member\n└─ 0000:02:00.0 0108 1b36:0010 QEMU NVM Express Controller [vfio-pci]: fine\n",
    );
    expect(json(machine, "groups", "2:0.0")).toEqual({
      formatVersion: 1,
      iommus: ["dmar0", "dmar1"].map((name) => ({
        name,
        type: "intel",
        addressBits: 48,
        remapsInterrupts: true,
      })),
      groups: [
        {
          id: 12,
          domain: "DMA-FQ",
          noiommu: false,
          viable: true,
          reason: "no driver of the host holds a member",
          members: [{ name: nvme, driver: "vfio-pci", state: "vfio" }],
          reserved: [{ start: "0xfee00000", end: "0xfeefffff", kind: "msi" }],
        },
      ],
    });
  });
});

describe("a BDF in place of a file", () => {
  test("show prints the device as it is now, diff compares with it", () => {
    using machine = new Machine();
    const { code, out } = run(machine, "show", "2:0.0");
    expect(code).toBe(0);
    expect(out).toStartWith("0000:02:00.0 Mass storage controller [0108]: 1b36:0010 (rev 02)");
    expect(out).toContain("\tRegion BAR0: size 0x4000, read write mmap, MSI-X mappable\n");
    expect(json(machine, "show", nvme)).toMatchObject({ source: "sysfs", devices: [{ bdf: nvme }] });
    expect(run(machine, "diff", nvme, "images/nvme.json").err).toBe("");
  });

  test("without root there are 64 bytes, which is told and no failure", () => {
    using machine = new Machine();
    const path = `${machine.folder(nvme)}/config`;
    machine.put(path, readFileSync(machine.at(path)).subarray(0, 64));
    const { code, out } = run(machine, "show", nvme);
    expect(code).toBe(0);
    expect(out).toContain("\tNote: without root Linux shows 64 bytes of config space, and no capabilities\n");
  });
});

test("a BDF that is none, or not there: one line, exit code 2", () => {
  using machine = new Machine();
  using folder = temporary();
  const commands = [["show"], ["doctor"], ["groups"], ["record", "-o", folder.at("x")], ["bind"], ["unbind"]];
  for (const command of commands) {
    expect(run(machine, ...command, "02:00.9")).toEqual({
      code: 2,
      out: "",
      err: 'bun-vfio: "02:00.9" is no BDF: function 9 is above 7\n',
    });
    expect(run(machine, ...command, "77:00.0")).toEqual({
      code: 2,
      out: "",
      err: "bun-vfio: 0000:77:00.0: this host has no such device; bun-vfio ls lists those it has\n",
    });
  }
  expect(run(machine, "doctor", "nvme0").err).toStartWith('bun-vfio: "nvme0" is no BDF: ');
  expect(folder.list()).toEqual([]);
});

describe("record", () => {
  test("from sysfs", () => {
    using machine = new Machine();
    using folder = temporary();
    const file = folder.at("nvme.json");
    expect(run(machine, "record", "2:0.0", "-o", file)).toEqual({ code: 0, out: `${file}\n`, err: "" });
    expect(readImage(readFileSync(file, "utf8"))).toMatchObject({ bdf: nvme, host: { driver: "nvme" } });
    expect(run(machine, "record", "2:0.0", "-o", file).err).toBe(
      `bun-vfio: ${file}: it exists; add --force to replace it\n`,
    );
    expect(json(machine, "record", "2:0.0", "-o", file, "--force")).toEqual({
      formatVersion: 1,
      file,
      bdf: nvme,
      source: "sysfs",
      configSize: 4096,
      regions: [
        { index: 0, name: "BAR0", size: 0x4000, recordedBytes: 0 },
        { index: 7, name: "CONFIG", size: 4096, recordedBytes: 0 },
      ],
      notes: ["recorded from sysfs, without VFIO"],
    });
    expect(run(machine, "record", "2:0.0", "-o", folder.at("b"), "--bar-contents").err).toBe(
      "bun-vfio: 0000:02:00.0: what its BARs hold can be read through VFIO alone; bind it first: bun-vfio bind 0000:02:00.0\n",
    );
    expect(folder.list()).toEqual(["nvme.json"]);
  });

  test("through VFIO where it is bound to it, and closes the device", () => {
    using machine = new Machine();
    using folder = temporary();
    using _ = inProcess(machine);
    machine.bind(nvme, "vfio-pci");
    const file = folder.at("nvme.json");
    const backend = new RecordedDevice(readImage(readFileSync("images/nvme.json", "utf8")));
    const options = { output: file, barContents: true };
    expect(recordCommand(nvme, options, () => backend)).toBe(0);
    const image = readImage(readFileSync(file, "utf8"));
    expect(image.regions[0]?.contents?.[0]?.bytes.length).toBe(0x4000);
    expect(image.host).toMatchObject({ driver: "vfio-pci", kernel: "Linux 6.12.95" });
    expect(() => backend.read(7, 0, new Uint8Array(4))).toThrow("closed");
  });
});
