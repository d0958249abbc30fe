// The list of a host's devices, on a copy of a recorded machine.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { listCommand } from "../../src/cli/ls.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, json, nvme, printed, run } from "./on-machine.ts";
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
    expect(lines[0]).toMatch(/^BDF {11}VERDICT +GROUP +DRIVER +NAME +CLASS +DEVICE +WHY$/);
    const at = lines[0]!.indexOf("DEVICE");
    expect(lines.slice(1, -1).map((line) => line[at - 1])).toEqual(Array<string>(16).fill(" "));
    expect(lines.find((line) => line.startsWith(nvme))).toMatch(
      /^0000:02:00\.0 {2}in use {4}12 +nvme +nvme0n1 {2}0108 Non-Volatile memory controller {2}1b36:0010 QEMU NVM Express Controller {2}nvme0n1 is mounted at \/$/,
    );
    expect(lines.find((line) => line.startsWith("0000:01:00.0"))).toMatch(
      /^0000:01:00\.0 {2}ready +11 +vfio-pci /,
    );
    expect(out).not.toContain("\u001b");
  });

  test("the verdict stands before what is long, and nothing is wider than the terminal", () => {
    using machine = new Machine();
    busy(machine);
    machine.put(`${machine.folder(nvme)}/nvme/nvme0/nvme0n1/device/model`, "Samsung SSD 980 1TB");
    machine.put(`${machine.folder(nvme)}/numa_node`, "1");
    for (const columns of [60, 80, 100]) {
      const { out } = bunVfio(["ls"], { env: { BUN_VFIO_ROOT: machine.root, COLUMNS: String(columns) } });
      const lines = out.trimEnd().split("\n");
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
      expect(lines[0]).toMatch(/^BDF +VERDICT +GROUP +DRIVER +NAME /);
      const row = lines.findIndex((line) => line.startsWith(nvme));
      expect(lines[row]).toMatch(/^0000:02:00\.0 {2}in use +12 +nvme +nvme0n1 /);
      expect(lines[row + 1]).toBe("  nvme0n1 is mounted at /");
      if (columns >= 80) expect(lines[row]).toContain("  1b36:0010 Samsung SSD");
    }
  });

  test("some devices: by what they are, what drives them, what the kernel calls them", () => {
    using machine = new Machine();
    busy(machine);
    machine.put(`${machine.folder(nvme)}/nvme/nvme0/nvme0n1/device/model`, "Samsung SSD 980 1TB");
    const [eth0, igb, vfs] = ["0000:03:00.0", "0000:04:00.0", ["0000:04:10.0", "0000:04:10.2"]] as const;
    // Here, and not as a program each: many a start takes its time.
    const listed = (words: readonly string[], verdict?: string): unknown => {
      using _ = inProcess(machine);
      listCommand(words, { json: true, verdict, color: false });
      const { devices } = JSON.parse(printed.join("")) as { devices: { bdf: string }[] };
      return devices.map(({ bdf }) => bdf);
    };
    for (const [words, bdfs] of [
      [["2:0.0"], [nvme]],
      [["1b36:0010"], [nvme]],
      [["8086:10ca"], vfs],
      [["1234:"], ["0000:01:00.0"]],
      [[":10c9"], [igb]],
      [["0108"], [nvme]],
      [["02"], [eth0, igb, ...vfs]],
      [["igbvf"], vfs],
      [["eth0"], [eth0]],
      [
        ["nvme0n1", "eth0"],
        [nvme, eth0],
      ],
      [["samsung"], [nvme]],
      [["Non-Volatile"], [nvme]],
    ] as const)
      expect([words, listed(words)]).toEqual([words, [...bdfs]]);
    expect(listed(["02"], "in-use")).toEqual([eth0, igb]);
    expect(listed([], "in-use")).toEqual([nvme, eth0, igb]);
    expect(run(machine, "ls", "02", "--verdict", "in-use").out.split("\n")).toHaveLength(4);
    expect(run(machine, "ls", "eth7").err).toBe(
      'bun-vfio: "eth7": no device of this host; bun-vfio ls lists all\n',
    );
    expect(run(machine, "ls", "--verdict", "viable").err).toContain(
      "Allowed choices are ready, bindable, in-use",
    );
  });

  test("--tree has each device below its port", () => {
    using machine = new Machine();
    busy(machine);
    expect(run(machine, "ls", "--tree", "eth0", "nvme0n1", "00:1f.3").out).toBe(`pci0000:00
├─ 0000:00:02.1 Red Hat, Inc. [pcieport] group 2
│  └─ 0000:02:00.0 nvme0n1 QEMU NVM Express Controller [nvme] group 12: in use: nvme0n1 is mounted at /
├─ 0000:00:02.2 Red Hat, Inc. [pcieport] group 3
│  └─ 0000:03:00.0 eth0 Intel Corporation [e1000e] group 13: in use: eth0 carries the default route
└─ 0000:00:1f.3 Intel Corporation group 10: bindable together with 0000:00:1f.2 (ahci)
`);
    expect(run(machine, "ls", "--tree").out.split("\n")).toHaveLength(18);
  });

  test("what is in use is shown without an IOMMU too", () => {
    using machine = new Machine();
    busy(machine);
    machine.unlink(`${machine.folder(nvme)}/iommu_group`);
    expect(run(machine, "ls", nvme).out).toMatch(
      / {2}no IOMMU {2}- .* {2}in use: nvme0n1 is mounted at \/\n$/,
    );
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
      names: [],
      models: [],
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
