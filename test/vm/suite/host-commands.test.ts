// machines: (intel)
// takes: 40 s
// The host commands on a real kernel: what they say of it, and what they do to it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import type { IommuGroup } from "../../../src/device/host/iommu-group.ts";
import type { DeviceVerdict } from "../../../src/device/host/verdict.ts";
import { FileDescriptor } from "../../../src/ffi/file-descriptor.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { getGroupStatus } from "../../../src/ffi/vfio-group.ts";
import { irqsOf } from "../../../src/image/defaults.ts";
import { readImage } from "../../../src/image/index.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { root } from "../../support/tree.ts";
import { asNobody, bunVfio, json, shell, temporary } from "./support/command.ts";
import { bindTo, deviceNames, driverOf, find, ownDescriptors, sysDevices, take } from "./support/devices.ts";

// The first program that is started costs Bun an eventfd of its own.
shell("true");
const before = ownDescriptors();
afterAll(() => {
  shell("modprobe -r nvme e1000e igb pci-stub pci-pf-stub ext4");
  expect(ownDescriptors()).toEqual(before);
});

const byId = (vendorAndDevice: string): string =>
  readdirSync(sysDevices).find(
    (bdf) =>
      ["vendor", "device"]
        .map((name) => readFileSync(`${sysDevices}/${bdf}/${name}`, "utf8").trim().slice(2))
        .join(":") === vendorAndDevice,
  )!;
const display = byId("1234:1111");
/** A bridge to conventional PCI and a device behind it, in one group. */
const bridge = byId("1b36:000e");
const behind = byId("1af4:1005");
const override = (bdf: string): string => readFileSync(`${sysDevices}/${bdf}/driver_override`, "utf8").trim();

interface Listed {
  readonly bdf: string;
  readonly driver: string | null;
  readonly cdev: string | null;
  readonly bootVga: boolean;
  readonly configBytes: number;
  readonly problems: readonly string[];
  readonly physicalFunction: string | null;
  readonly verdict: DeviceVerdict;
}
const listed = (bdf: string): Listed =>
  json<{ devices: Listed[] }>("ls").devices.find((device) => device.bdf === bdf)!;
const verdictOf = (bdf: string): string => {
  const { state, reason } = listed(bdf).verdict;
  return `${state} ${reason}`.trim();
};
const group = (bdf: string): IommuGroup => json<{ groups: IommuGroup[] }>("groups", bdf).groups[0]!;

describe("ls", () => {
  test("lists every function that the kernel has, and makes sense of all", () => {
    const { devices } = json<{ devices: Listed[] }>("ls");
    expect(devices.map(({ bdf }) => bdf)).toEqual(readdirSync(sysDevices).sort());
    expect(devices.flatMap(({ problems }) => problems)).toEqual([]);
    expect(devices.every(({ configBytes }) => configBytes === 256 || configBytes === 4096)).toBe(true);
    expect(devices.filter(({ bootVga }) => bootVga).map(({ bdf }) => bdf)).toEqual([display]);
  });

  test("as a program of its own, and for one who is not root", () => {
    const { code, out, err } = asNobody(`process.exitCode = runCommand(["ls"])`);
    expect([code, err]).toEqual([0, ""]);
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(readdirSync(sysDevices).length + 1);
    expect(lines[0]).toStartWith("BDF ");
    expect(lines.find((line) => line.startsWith("0000:00:02.0"))).toMatch(
      /^0000:00:02\.0 {2}bridge +1 +pcieport /,
    );
  });

  test("a device that vfio-pci has is ready, with its node", () => {
    const bdf = take("edu");
    expect(verdictOf(bdf)).toBe("ready");
    expect(listed(bdf)).toMatchObject({ driver: "vfio-pci", cdev: expect.stringMatching(/^vfio\d+$/) });
    bindTo(bdf, undefined);
    expect(verdictOf(bdf)).toBe("bindable");
    expect(listed(bdf).cdev).toBeNull();
  });
});

describe("groups", () => {
  /** What the kernel says of the group. */
  function viable(): boolean {
    using node = FileDescriptor.open(`/dev/vfio/${group(behind).id}`);
    return getGroupStatus(node.fd).viable;
  }

  test("are as viable as the kernel says, whatever drives a bridge in them", () => {
    shell("modprobe pci-stub; modprobe pci-pf-stub");
    bindTo(behind, "vfio-pci");
    // pci-pf-stub is a driver like any other to the kernel, which takes whatever it is given and does nothing.
    for (const driver of [undefined, "pci-stub", "pci-pf-stub"]) {
      bindTo(bridge, driver);
      expect([driver, group(behind).viable]).toEqual([driver, driver !== "pci-pf-stub"]);
      expect([driver, viable()]).toEqual([driver, driver !== "pci-pf-stub"]);
    }
    bindTo(bridge, "pci-stub");
    bindTo(behind, undefined);
  });

  test("a root port with its driver is in nobody's way", () => {
    const port = "0000:00:02.0";
    expect(driverOf(port)).toBe("pcieport");
    expect(bunVfio("groups", port)).toMatchObject({
      code: 0,
      out: expect.stringContaining("[pcieport]: fine, a bridge"),
    });
  });

  test("bind --group takes the driver from a bridge that blocks; undo gives it back", () => {
    using folder = temporary();
    bindTo(bridge, "pci-pf-stub");
    bindTo(behind, undefined);
    expect(bunVfio("bind", behind).err).toBe(
      `bun-vfio: note: group ${group(behind).id} is still held by ${bridge} (pci-pf-stub); bind them too, or add --group\n`,
    );
    expect(verdictOf(behind)).toBe(`blocked by ${bridge} (pci-pf-stub)`);
    const run = bunVfio("bind", "--group", "--undo-file", folder.at("undo"), behind);
    expect(run).toMatchObject({ code: 0, out: `${bridge}: pci-pf-stub -> no driver\n` });
    openDevice(behind, { api: "group" })[Symbol.dispose]();
    expect(bunVfio("undo", folder.at("undo"))).toMatchObject({ code: 0, err: "" });
    expect(driverOf(bridge)).toBe("pci-pf-stub");
    bindTo(bridge, "pci-stub");
    bindTo(behind, undefined);
  });
});

describe("bind and unbind", () => {
  const nvme = find("nvme");
  const e1000e = find("e1000e");
  const blk = find("virtio-blk");
  const edu = find("edu");
  const release = (): void => {
    for (const bdf of [nvme, e1000e, edu, display]) {
      bindTo(bdf, undefined);
      writeFileSync(`${sysDevices}/${bdf}/driver_override`, "\n");
    }
    bindTo(blk, "virtio-pci");
  };
  beforeAll(release); // test files share a machine
  afterEach(release);
  const refused = (bdf: string, ...why: string[]): void => {
    const run = bunVfio("bind", bdf);
    expect(run).toMatchObject({ code: 2, out: "" });
    expect(run.err).toStartWith(`bun-vfio: refused: ${bdf}: `);
    for (const text of why) expect(run.err).toContain(text);
    expect(run.err).toEndWith("; --force does it all the same\n");
  };

  test("a dry run's commands, given to a shell, do what the command does", () => {
    const { out } = bunVfio("bind", "--dry-run", blk);
    expect(driverOf(blk)).toBe("virtio-pci");
    shell(out);
    expect([driverOf(blk), override(blk)]).toEqual(["vfio-pci", "vfio-pci"]);
    shell(bunVfio("unbind", "--dry-run", blk).out);
    expect([driverOf(blk), override(blk)]).toEqual(["virtio-pci", "(null)"]);
  });

  test("there and back, by the drivers that claim it", () => {
    expect(bunVfio("bind", blk)).toEqual({ code: 0, out: `${blk}: virtio-pci -> vfio-pci\n`, err: "" });
    openDevice(blk)[Symbol.dispose]();
    expect(bunVfio("bind", blk)).toEqual({ code: 0, out: "", err: "bun-vfio: nothing to do\n" });
    expect(bunVfio("unbind", blk)).toEqual({ code: 0, out: `${blk}: vfio-pci -> virtio-pci\n`, err: "" });
    expect(bunVfio("unbind", blk).err).toContain("is bound to virtio-pci, not to a VFIO driver");
  });

  test("undo brings back what there was, of several devices, an override among them", () => {
    using folder = temporary();
    writeFileSync(`${sysDevices}/${edu}/driver_override`, "pci-stub");
    const bound = json("bind", "--undo-file", folder.at("undo"), blk, edu);
    expect(bound).toMatchObject({
      dryRun: false,
      devices: [
        { bdf: blk, from: { driver: "virtio-pci", driverOverride: null }, to: { driver: "vfio-pci" } },
        { bdf: edu, from: { driver: null, driverOverride: "pci-stub" }, to: { driver: "vfio-pci" } },
      ],
    });
    expect(bunVfio("bind", "--undo-file", folder.at("undo"), nvme).err).toContain("it exists");
    expect(bunVfio("undo", folder.at("undo"))).toMatchObject({ code: 0, err: "" });
    expect([driverOf(blk), override(blk)]).toEqual(["virtio-pci", "(null)"]);
    expect([driverOf(edu), override(edu)]).toEqual([undefined, "pci-stub"]);
  });

  test("all or none: where a driver refuses one, the others go back", () => {
    using folder = temporary();
    // virtio-pci's probe takes the first and refuses the second.
    bindTo(blk, "vfio-pci");
    const run = bunVfio("bind", "--driver", "virtio-pci", "--undo-file", folder.at("undo"), blk, edu);
    expect(run).toMatchObject({ code: 2, out: "" });
    expect(run.err).toBe(
      `bun-vfio: ${edu} has no driver after it should be bound to virtio-pci; everything was taken back; ` +
        "virtio-pci refused it: the kernel's log tells why\n",
    );
    expect([driverOf(blk), override(blk)]).toEqual(["vfio-pci", "vfio-pci"]);
    expect([driverOf(edu), override(edu)]).toEqual([undefined, "(null)"]);
    expect(existsSync(folder.at("undo"))).toBe(false);
  });

  test("refuses a mounted disk, by its mount point; once it is unmounted it does not", () => {
    shell(
      "modprobe nvme; modprobe crc32c_generic; modprobe ext4; mke2fs /dev/nvme0n1; mkdir -p /run/mounted; mount -t ext4 /dev/nvme0n1 /run/mounted",
    );
    try {
      expect(verdictOf(nvme)).toBe("in-use nvme0n1 is mounted at /run/mounted");
      refused(nvme, "nvme0n1 is mounted at /run/mounted; unmount it first");
      expect(driverOf(nvme)).toBe("nvme");
      expect(bunVfio("doctor", nvme).out).toContain(
        "and the host uses it: nvme0n1 is mounted at /run/mounted",
      );
    } finally {
      shell("umount /run/mounted");
    }
    expect(verdictOf(nvme)).toBe("bindable");
    expect(bunVfio("bind", nvme).code).toBe(0);
  });

  test("refuses swap space, and binds it once it is off", () => {
    bindTo(nvme, undefined);
    shell(`echo ${nvme} > /sys/bus/pci/drivers/nvme/bind; mkswap /dev/nvme0n1; swapon /dev/nvme0n1`);
    try {
      refused(nvme, "nvme0n1 is swap space; turn it off with swapoff first");
    } finally {
      shell("swapoff /dev/nvme0n1");
    }
    expect(bunVfio("bind", nvme).code).toBe(0);
  });

  test("refuses an interface with an address or the default route; --force takes it all the same", () => {
    shell("modprobe e1000e; ip link set eth0 up; ip address add 192.0.2.1/24 dev eth0");
    refused(e1000e, "eth0 is up with an address; take the interface down first");
    shell("ip route add default via 192.0.2.2");
    refused(e1000e, "eth0 carries the default route; take the interface down first");
    expect(verdictOf(e1000e)).toBe("in-use eth0 carries the default route");
    shell("ip link set eth0 down");
    expect(bunVfio("bind", "--dry-run", e1000e).code).toBe(0);
    shell("ip link set eth0 up; ip route add default via 192.0.2.2");
    expect(bunVfio("bind", "--force", e1000e)).toMatchObject({
      code: 0,
      out: `${e1000e}: e1000e -> vfio-pci\n`,
    });
    expect(readdirSync("/sys/class/net")).toEqual(["lo"]);
  });

  test("refuses the display of the firmware; --force takes it all the same", () => {
    refused(display, "the firmware's console is on it, and would go dark");
    expect(bunVfio("bind", "--force", display)).toMatchObject({
      code: 0,
      out: `${display}: no driver -> vfio-pci\n`,
    });
  });

  test("refuses a bridge, whatever is said", () => {
    const run = bunVfio("bind", "--force", "0000:00:02.0");
    expect(run).toMatchObject({ code: 2 });
    expect(driverOf("0000:00:02.0")).toBe("pcieport");
    expect(bunVfio("bind", "0000:00:02.0").err).toContain("it is a bridge, and stays with the host");
  });

  test("unbind refuses a device that is open, by the program that has it", () => {
    const bdf = take("edu");
    const device = openDevice(bdf);
    expect(bunVfio("unbind", bdf).err).toBe(
      `bun-vfio: refused: ${bdf}: it is open in ${readFileSync("/proc/self/comm", "utf8").trim()} (process ${process.pid}); ` +
        "end them first; --force waits until they let go of it\n",
    );
    expect(bunVfio("doctor", bdf)).toMatchObject({
      code: 1,
      out: expect.stringContaining(`(process ${process.pid}) has /dev/`),
    });
    device[Symbol.dispose]();
    expect(bunVfio("unbind", bdf).code).toBe(0);
  });
});

describe("doctor", () => {
  test("finds nothing missing on this machine, and for a device that is bound", () => {
    const bdf = take("edu");
    const { code, out } = bunVfio("doctor", bdf);
    expect(out.split("\n").filter((line) => line.startsWith("✗"))).toEqual([]);
    expect(code).toBe(0);
    for (const line of [
      "✓ an IOMMU is on: intel, ",
      "✓ interrupts are remapped",
      "has this device alone",
      "it can be reset",
    ])
      expect(out).toContain(line);
  });

  test("names what is missing for one that is not, and its fix does it", () => {
    const bdf = find("edu");
    bindTo(bdf, undefined);
    const { code, out } = bunVfio("doctor", bdf);
    expect(code).toBe(1);
    expect(out).toContain(`✗ ${bdf} has no driver; fix: bun-vfio bind ${bdf}`);
    expect(bunVfio(...`bind ${bdf}`.split(" ")).code).toBe(0);
    expect(bunVfio("doctor", bdf).code).toBe(0);
  });
});

describe("a virtual function", () => {
  const igb = find("igb");
  let virtual: string;
  beforeAll(() => {
    bindTo(igb, undefined);
    writeFileSync(`${sysDevices}/${igb}/driver_override`, "\n");
    shell("modprobe igb");
    if (driverOf(igb) === undefined) writeFileSync("/sys/bus/pci/drivers_probe", igb);
    writeFileSync(`${sysDevices}/${igb}/sriov_numvfs`, "1");
    virtual = readlinkSync(`${sysDevices}/${igb}/virtfn0`).split("/").at(-1)!;
    bindTo(virtual, undefined);
  });
  afterAll(() => {
    writeFileSync(`${sysDevices}/${igb}/sriov_numvfs`, "0");
    bindTo(igb, undefined);
  });

  test("is listed, bound, and recorded through VFIO as from sysfs, which has neither its IDs nor its BARs", () => {
    using folder = temporary();
    const [vfio, sysfs] = [folder.at("vfio.json"), folder.at("sysfs.json")];
    expect(listed(virtual)).toMatchObject({ physicalFunction: igb, verdict: { state: "bindable" } });
    expect(bunVfio("record", virtual, "-o", sysfs)).toMatchObject({ code: 0, err: "" });
    expect(bunVfio("bind", virtual)).toMatchObject({ code: 0, err: "" });
    expect(bunVfio("record", virtual, "-o", vfio)).toMatchObject({ code: 0, err: "" });
    expect(shape(vfio)).toEqual(shape(sysfs));
    expect(bunVfio("diff", vfio, sysfs)).toMatchObject({ code: 0 });
  });

  test("keeps its physical function from being bound", () => {
    const { code, err } = bunVfio("bind", igb);
    expect([code, err]).toEqual([
      2,
      `bun-vfio: refused: ${igb}: virtual functions of it are on (1), and would go; write 0 to its sriov_numvfs first; --force does it all the same\n`,
    ]);
  });

  test("wants no token while its physical function is the host's", () => {
    expect(bunVfio("doctor", virtual).out).toContain(`no token is needed: ${igb} is bound to igb`);
  });
});

/** All of an image but what registers hold. @param kernel what interrupts it is to be offered by; that of the image unless given */
function shape(file: string, kernel?: string): unknown {
  const { regions, irqs, config, resettable } = readImage(readFileSync(file, "utf8"));
  return {
    regions: regions.map(({ contents: _, ...region }) => region),
    irqs: kernel === undefined ? irqs : irqsOf(config, undefined, kernel),
    size: config.length,
    resettable,
  };
}

/** Devices whose BARs are small enough to be read in no time. */
const small: readonly string[] = ["nvme", "virtio-net", "xhci", "ahci"];

describe("show, record and diff", () => {
  test("a recording reads all of config space but registers whose read has an effect", () => {
    using folder = temporary();
    const bdf = take("virtio-net");
    const { offset, size, precious } = (() => {
      using device = openDevice(bdf);
      const { offset, size } = device.regions[RegionIndex.config]!;
      const config = new Uint8Array(new ArrayBuffer(size));
      device.read(RegionIndex.config, 0, config.subarray(0, 256));
      const bytes = layoutOf(config).capabilities.flatMap(({ offset: at, map }) =>
        [...map.masks.precious.entries()].flatMap(([byte, bits]) => (bits === 0 ? [] : [at + byte])),
      );
      return { offset, size, precious: bytes };
    })();
    // The data register of virtio's window to its BARs.
    expect(precious).toHaveLength(4);
    const read = new Set<number>();
    using trace = traceSyscalls(({ name, args }) => {
      const [, , length, from] = args.map(Number);
      if (name === "pread") for (let i = 0; i < length!; i++) read.add(from! - offset + i);
    });
    expect(bunVfio("record", bdf, "-o", folder.at("it.json")).code).toBe(0);
    trace[Symbol.dispose]();
    const untouched = Array.from({ length: size }, (_, at) => at).filter((at) => !read.has(at));
    expect(untouched).toEqual(precious);
  });

  test.each(deviceNames)(
    "%s: a recording through VFIO is as the one from sysfs, and as the one that is shipped",
    (name) => {
      using folder = temporary();
      const bdf = take(name);
      const file = folder.at("vfio.json");
      const contents = small.includes(name) ? ["--rom", "--bar-contents"] : [];
      expect(bunVfio("record", bdf, ...contents, "-o", file)).toMatchObject({ code: 0, err: "" });
      bindTo(bdf, undefined);
      expect(bunVfio("record", bdf, "-o", folder.at("sysfs.json"))).toMatchObject({ code: 0, err: "" });
      const shipped = join(root, "images", `${name}.json`);
      // What a BAR holds comes through VFIO alone; what firmware and drivers write differs from machine to machine.
      const differences = (other: string): string[] =>
        bunVfio("diff", file, other)
          .out.split("\n")
          .filter((line) => /^ |^bytes/.test(line) && !line.endsWith(" (rw)"));
      expect(differences(folder.at("sysfs.json"))).toEqual([]);
      // A byte behind the capability that no map describes, which an AHCI driver had written before.
      expect(differences(shipped)).toEqual(name === "ahci" ? ["bytes [92]: 00 -> 3f"] : []);
      expect(shape(file)).toEqual(shape(folder.at("sysfs.json")));
      const { regions, host } = readImage(readFileSync(file, "utf8"));
      expect(shape(file)).toEqual(shape(shipped, host.kernel));
      expect(regions.some(({ contents = [] }) => contents.length > 0)).toBe(small.includes(name));
      expect(bunVfio("show", file)).toMatchObject({ code: 0, err: "" });
      expect(bunVfio("show", bdf)).toMatchObject({ code: 0, err: "" });
    },
  );
});
