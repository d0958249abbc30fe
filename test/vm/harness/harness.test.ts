// The parts of the harness that need no machine.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "../../support/sandbox.ts";
import { root } from "../../support/tree.ts";
import { devices, machines, type Machine } from "../machines.ts";
import { cached, cacheFolder } from "./cache.ts";
import { addUp, coverageOf, lcovOf } from "./coverage.ts";
import { Monitor, Requests } from "./monitor.ts";
import { commandOf } from "./qemu.ts";
import { Preparation } from "./prepare.ts";
import { mergedReport, readReport, readResults, totalsOf } from "./report.ts";
import { extentOf, machinesOf, plan, secondsOf, type Extent } from "./suites.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box[Symbol.dispose]());

describe("the cache", () => {
  test("lies outside of the tree, where its variables say", () => {
    expect(cacheFolder({ BUN_VFIO_VM_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/b" })).toBe("/b/bun-vfio/vm");
    expect(cacheFolder({})).toEndWith("/.cache/bun-vfio/vm");
  });

  test("makes what it does not have, once for the same inputs", async () => {
    let made = 0;
    const make = async (): Promise<void> => void made++;
    const first = await cached(box.path, "step", ["a"], make);
    expect(await cached(box.path, "step", ["a"], make)).toBe(first);
    expect(made).toBe(1);
    expect(await cached(box.path, "step", ["b"], make)).not.toBe(first);
    expect(made).toBe(2);
  });

  test("forgets what was not used for a month", async () => {
    const make = async (): Promise<void> => undefined;
    const folder = await cached(box.path, "step", ["a"], make);
    const used = await cached(box.path, "step", ["b"], make);
    for (const one of [folder, used]) utimesSync(one, 0, 0);
    await cached(box.path, "step", ["b"], make);
    await cached(box.path, "step", ["c"], make);
    expect([existsSync(folder), existsSync(used)]).toEqual([false, true]);
  });

  test("keeps nothing of what failed", async () => {
    const broken = cached(box.path, "step", [], async (folder) => {
      await Bun.write(join(folder, "half"), "");
      throw new Error("broken");
    });
    expect(broken).rejects.toThrow("broken");
    await broken.catch(() => undefined);
    expect(readdirSync(box.path)).toEqual([]);
  });
});

describe("a test file", () => {
  test("names its machines and how long it takes", () => {
    const none = { quick: [], all: [], nightly: [] };
    expect(machinesOf("// machines: intel, none\nx")).toEqual({ ...none, quick: ["intel", "none"] });
    expect(machinesOf("// machines: intel (none, virtio)\nx")).toEqual({
      ...{ ...none, quick: ["intel"], all: ["none", "virtio"] },
    });
    expect(machinesOf("// machines: (none)\n// takes: 5 s")).toEqual({ ...none, all: ["none"] });
    expect(machinesOf("// machines: a (b) [c, d]\n")).toEqual({
      quick: ["a"],
      all: ["b"],
      nightly: ["c", "d"],
    });
    expect(machinesOf("// machines: a [b]\n")).toEqual({ quick: ["a"], all: [], nightly: ["b"] });
    expect(machinesOf("// machines: [b]\n")).toEqual({ ...none, nightly: ["b"] });
    expect(machinesOf("import x;\n")).toBeUndefined();
    expect(secondsOf("// machines: intel\n// takes: 60 s\n")).toBe(60);
    expect(secondsOf("")).toBe(5);
  });

  test("runs where it says, or everywhere; the long ones first", () => {
    box.write("suite/a.test.ts", "");
    box.write("suite/b.test.ts", "// machines: two\n// takes: 60 s\n");
    const { queues, left } = plan(box.path, ["suite/*.test.ts"], ["one", "two"], "quick");
    expect([...queues]).toEqual([
      ["one", ["suite/a.test.ts"]],
      ["two", ["suite/b.test.ts", "suite/a.test.ts"]],
    ]);
    expect(left).toEqual([]);
  });

  test("may leave machines to a run of everything, and is counted there", () => {
    box.write("a.test.ts", "// machines: one (two)\n");
    box.write("b.test.ts", "// machines: (two) [one]\n");
    const planned = (extent: Extent) => {
      const { queues, left } = plan(box.path, ["*.test.ts"], ["one", "two"], extent);
      return { queues: [...queues], left };
    };
    expect(planned("quick")).toEqual({
      queues: [
        ["one", ["a.test.ts"]],
        ["two", []],
      ],
      left: ["two", "two", "one"],
    });
    expect(planned("all")).toEqual({
      queues: [
        ["one", ["a.test.ts"]],
        ["two", ["a.test.ts", "b.test.ts"]],
      ],
      left: ["one"],
    });
    expect(planned("nightly").queues).toEqual([
      ["one", ["a.test.ts", "b.test.ts"]],
      ["two", ["a.test.ts", "b.test.ts"]],
    ]);
  });

  test("that is named is run as a whole, and on a machine that is named also nightly", () => {
    expect(extentOf({})).toBe("quick");
    expect(extentOf({ all: true })).toBe("all");
    expect(extentOf({ suite: ["a"] })).toBe("all");
    expect(extentOf({ suite: ["a"], machine: ["b"] })).toBe("nightly");
    expect(extentOf({ nightly: true })).toBe("nightly");
  });

  test("that is not there or names no machine is told", () => {
    box.write("a.test.ts", "// machines: three\n");
    expect(() => plan(box.path, ["a.test.ts"], ["one"], "all")).toThrow(
      'a.test.ts asks for a machine "three": there are one',
    );
    expect(() => plan(box.path, ["*.spec.ts"], ["one"], "all")).toThrow("there is no test file *.spec.ts");
  });

  test("of the project is refused on a host, in one line", () => {
    const files = [...new Bun.Glob("test/vm/suite/*.test.ts").scanSync(root)];
    expect(files.length).toBeGreaterThan(0);
    box.write("bunfig.toml", "");
    const config = `--config=${join(box.path, "bunfig.toml")}`;
    const command = [process.execPath, "test", config, ...files.map((file) => join(root, file))];
    const { code, stderr } = box.run(command, { env: { ...process.env, BUN_VFIO_VM: undefined } });
    expect(code).not.toBe(0);
    expect(stderr).not.toContain("(pass)");
    expect(stderr.split("these tests run in the virtual machine alone")).toHaveLength(files.length + 1);
  });
});

describe("a machine", () => {
  const prepared = {
    ...{ tools: "/p/tools", programs: "/p/programs", kernel: "/p/vmlinuz", modules: "/p/modules" },
    ...{ initramfs: "/p/initramfs.cpio", release: "6.12" },
  };
  const command = (machine: Machine, shell = false): string =>
    commandOf(machine, prepared, { packages: "/t/node_modules", out: "/o", shell }).join(" ");

  test("has each device alone on a port, in order", () => {
    const text = command({ name: "a", iommu: "none", devices: { edu: devices.edu, nvme: devices.nvme } });
    expect(text).toContain(
      "pcie-root-port,id=port1,chassis=1,slot=1,addr=2.0,multifunction=on -device edu,id=edu,bus=port1",
    );
    expect(text).toContain("-blockdev driver=file,filename=/o/disk-nvme.img,node-name=disk-nvme");
    expect(text).toContain("nvme,serial=BUNVFIO0,id=nvme,bus=port2,drive=disk-nvme");
    expect(text).not.toContain("iommu-pci");
  });

  test("has what is served at the socket of its server, which has the disk", () => {
    const nvme = { device: "nvme", served: true, disk: true };
    const text = command({ name: "a", iommu: "none", devices: { nvme } });
    expect(text).toContain(
      '-device {"driver":"vfio-user-pci","id":"nvme","bus":"port1","socket":{"type":"unix","path":"/o/nvme.sock"}}',
    );
    expect(text).not.toContain("-blockdev");
  });

  test("puts its ninth device's port into the next slot", () => {
    expect(command(machines[0]!)).toContain("id=port9,chassis=9,slot=9,addr=3.0");
  });

  test("has the IOMMU, the modules and the words that it asks for", () => {
    const text = command({
      name: "a",
      iommu: "intel",
      devices: {},
      modules: ["kvm", "kvm_amd"],
      words: ["x=1"],
      cpus: 4,
      memory: 512,
    });
    expect(text).toContain("-device intel-iommu,intremap=on,caching-mode=on");
    expect(text).toMatch(/-append console=ttyS0 .*intel_iommu=on x=1 vm\.modules=kvm,kvm_amd/);
    expect(text).toContain("-smp 4 -m 512M");
  });

  test("is of the architecture that it asks for, with that one's IOMMU", () => {
    const arm: Machine = { name: "a", iommu: "smmuv3", arch: "aarch64", devices: {}, system: true };
    expect(command(arm)).toMatch(
      /qemu-system-aarch64 .* -M virt,gic-version=3,iommu=smmuv3 .*console=ttyAMA0 .*vm\.compiler/,
    );
    expect(command({ ...arm, iommu: "none", virtualization: true })).toContain(
      "gic-version=3,virtualization=on",
    );
    expect(command({ name: "a", iommu: "amd", devices: {} })).toMatch(
      /qemu-system-x86_64 .*class=0x0601,addr=14\.0 -device amd-iommu,/,
    );
  });

  test("has its own programs where it asks for them", () => {
    const machine: Machine = { name: "a", iommu: "none", devices: {} };
    expect(command(machine)).not.toContain("mount_tag=system");
    expect(command({ ...machine, system: true })).toContain(
      "local,id=system,path=/p/programs,security_model=none,readonly=on -device virtio-9p-pci,fsdev=system,mount_tag=system",
    );
  });

  test("has a monitor and a shell on its console for people alone", () => {
    expect(command(machines[0]!)).toContain("-serial stdio");
    expect(command(machines[0]!, true)).toMatch(/-serial mon:stdio.* vm\.shell/);
  });
});

describe("QEMU's monitor", () => {
  const machine: Machine = { name: "a", iommu: "none", devices: { edu: devices.edu } };
  const answer = (id: number, value: unknown = {}): string => `${JSON.stringify({ id, return: value })}\r\n`;

  test("is told its capabilities first, and plugs what has gone", async () => {
    const sent: { execute: string; id: number; arguments: object }[] = [];
    const monitor = new Monitor((text) => void sent.push(JSON.parse(text)));
    monitor.hear('{"QMP": {}}\r\n');
    const unplugged = monitor.unplug("edu");
    expect(sent.map(({ execute }) => execute)).toEqual(["qmp_capabilities", "device_del"]);
    const text = sent.map(({ id }) => answer(id)).join("");
    monitor.hear(text.slice(0, 20));
    monitor.hear(text.slice(20));
    await unplugged;
    const plugged = monitor.plug(machine, "edu", "/o");
    await Bun.sleep(0);
    expect(sent).toHaveLength(2);
    monitor.hear('{"event": "DEVICE_DELETED", "data": {"device": "edu"}}\r\n');
    while (sent.length < 3) await Bun.sleep(0);
    expect(sent[2]!.arguments).toEqual({ "command-line": "device_add edu,id=edu,bus=port1" });
    monitor.hear(answer(sent[2]!.id, "Error: no room\r\n"));
    await expect(plugged).rejects.toThrow("Error: no room");
  });

  test("that ends fails what waits for it", async () => {
    const monitor = new Monitor(() => {});
    const unplugged = monitor.unplug("edu");
    monitor.close();
    await expect(unplugged).rejects.toThrow("QEMU has ended");
    await expect(monitor.unplug("edu")).rejects.toThrow("QEMU has ended");
  });

  test("says of a machine that hangs where its CPUs are, and has its kernel say it", async () => {
    const sent: { execute: string; id: number }[] = [];
    const monitor = new Monitor((text) => void sent.push(JSON.parse(text)));
    const said = monitor.autopsy();
    const registers = "CPU#0\r\nRAX=1 RBX=2\r\nRIP=3\r\nCS =0010\r\nYMM00=0\r\n";
    monitor.hear(answer(sent.at(-1)!.id, registers));
    while (sent.at(-1)!.execute !== "inject-nmi") await Bun.sleep(0);
    monitor.hear(answer(sent.at(-1)!.id));
    expect(await said).toBe("CPU#0\nRAX=1 RBX=2\nRIP=3");
  });

  test("does what a guest's test asks for, and nothing else", async () => {
    const done: string[] = [];
    const monitor = {
      unplug: async (name: string) => void done.push(`unplug ${name}`),
      plug: async (_: Machine, name: string) => void done.push(`plug ${name}`),
    };
    const requests = new Requests(machine, box.path);
    const replyTo = async (text: string): Promise<string> => {
      box.write("request", text);
      await requests.look(monitor);
      expect(existsSync(join(box.path, "request"))).toBe(false);
      return Bun.file(join(box.path, "reply")).text();
    };
    expect(await replyTo("unplug edu")).toBe("");
    expect(await replyTo("plug edu")).toBe("");
    expect(await replyTo("unplug toString")).toBe('machine a has no device "toString"');
    expect(await replyTo("quit")).toBe('"quit" is no request');
    expect(await replyTo("unplug edu,x nvme")).toBe('"unplug edu,x nvme" is no request');
    expect(done).toEqual(["unplug edu", "plug edu"]);
  });
});

const xml = (tests: number, failures: number, skipped: number): string =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" tests="${tests}" assertions="7" failures="${failures}" skipped="${skipped}" time="1.5">\n<testsuite name="inner" tests="99" />\n</testsuites>`;
const well = { status: 0, problem: undefined, seconds: 9 };

describe("results", () => {
  const left = (number: number, status: string, report?: string): void => {
    box.write(`${number}.status`, `${status}\n`);
    if (report) box.write(`${number}.xml`, report);
  };
  const problems = (files: string[], end: Parameters<typeof readResults>[3] = well): (string | undefined)[] =>
    readResults("intel", files, box.path, end).map(({ problem }) => problem);

  test("are those of the report", () => {
    left(1, "1", xml(10, 2, 1));
    const results = readResults("intel", ["a.test.ts"], box.path, well);
    expect(results).toMatchObject([{ machine: "intel", tests: 10, failures: 2, skipped: 1, seconds: 1.5 }]);
    expect(totalsOf(results)).toEqual({ tests: 10, failures: 2, skipped: 1 });
    expect(readReport("<testsuites tests='1'>")).toBeUndefined();
  });

  test("have a failure more for what no test tells", () => {
    left(1, "3", xml(5, 0, 0));
    left(2, "139");
    left(3, "137");
    left(4, "0", xml(0, 0, 0));
    left(5, "0", xml(5, 0, 0));
    const files = ["1", "2", "3", "4", "5"];
    expect(problems(files)).toEqual([
      "it exited with 3, though no test failed",
      "it left no report, and exited with 139",
      "it took too long, or was killed",
      "it holds no test",
      undefined,
    ]);
    expect(totalsOf(readResults("intel", files, box.path, well))).toEqual({
      tests: 14,
      failures: 4,
      skipped: 0,
    });
  });

  test("of a machine that hung or panicked: the file that it was at failed, with the end of the console", () => {
    left(1, "0", xml(5, 0, 0));
    box.write("console.log", "Kernel panic - not syncing\r\n");
    const [first, second] = problems(["1", "2"], { status: undefined, problem: "hung", seconds: 9 });
    expect(first).toBeUndefined();
    expect(second).toStartWith("the machine hung; the end of its console:\n");
    expect(second).toContain("Kernel panic");
  });

  test("of a machine that ended badly after its last file have that as a failure", () => {
    left(1, "0", xml(5, 0, 0));
    const results = readResults("intel", ["1"], box.path, { status: 101, problem: "ended", seconds: 9 });
    expect(totalsOf(results)).toEqual({ tests: 6, failures: 1, skipped: 0 });
  });

  test("are merged into one report with true totals and no broken text", () => {
    left(1, "1", xml(10, 2, 1));
    left(2, "139");
    const merged = mergedReport(readResults("intel", ['a"<.ts', "b.ts"], box.path, well));
    expect(readReport(merged)).toMatchObject({ tests: 11, failures: 3, skipped: 1 });
    expect(merged).toContain('<testsuite name="intel: a&quot;&lt;.ts" tests="10" failures="2" skipped="1">');
    expect(merged).toContain('<failure message="it left no report, and exited with 139" />');
  });
});

test("coverage of several runs is added up, line by line, of the sources alone", () => {
  const one = "TN:\nSF:src/a.ts\nDA:1,2\nDA:2,0\nend_of_record\nSF:test/x.ts\nDA:1,1\nend_of_record\n";
  const other = "SF:src/a.ts\nDA:2,3\nDA:3,0\nend_of_record\n";
  const sum = addUp([one, other]);
  expect(lcovOf(sum)).toBe("TN:\nSF:src/a.ts\nDA:1,2\nDA:2,3\nDA:3,0\nLF:3\nLH:2\nend_of_record\n");
  expect(coverageOf(sum)).toEqual({ lines: 3, run: 2 });
});

test("what it is made from is there, and every machine can be made of it", async () => {
  const made = new Map<string, string[]>();
  const preparation = new Preparation(
    box.path,
    process.execPath,
    () => {},
    async (name, ...args) => {
      expect(existsSync(join(import.meta.dir, "../prepare", name))).toBe(true);
      const folder = args.at(-1)!;
      made.set(name, [...(made.get(name) ?? []), args.slice(0, -1).join(" ")]);
      await Bun.write(join(folder, "release"), "1\n");
      await Bun.write(join(folder, "bun"), name);
    },
  );
  const prepared = await Promise.all(machines.map((machine) => preparation.of(machine)));
  // Once for all machines that have it.
  expect(made.get("tools.sh")).toHaveLength(1);
  expect(
    made
      .get("kernel.sh")!
      .map((args) => args.split(" ").slice(1).join(" "))
      .sort(),
  ).toEqual([
    ...["bookworm amd64", "trixie amd64", "trixie-backports amd64"],
    ...["trixie-backports arm64", "trixie-backports arm64-16k"],
  ]);
  // bookworm's are its own.
  expect(made.get("modules.sh")).toHaveLength(4);
  const [x86, arm] = ["intel", "arm"].map(
    (name) => prepared[machines.findIndex((one) => one.name === name)]!,
  );
  expect(x86!.programs).toBe(x86!.tools);
  expect(arm!.programs).not.toBe(arm!.tools);
});
