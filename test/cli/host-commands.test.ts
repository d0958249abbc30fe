// The commands about a host's devices, on a copy of a recorded machine.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { recordCommand } from "../../src/cli/record.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { readImage } from "../../src/image/index.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, json, nvme, run } from "./on-machine.ts";
import { temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

describe("groups", () => {
  test("a tree with the verdict, its reason, and the culprits", () => {
    using machine = new Machine();
    busy(machine);
    const { code, out } = run(machine, "groups");
    expect(code).toBe(0);
    expect(out).toContain(`Group 10 (DMA-FQ): bindable, held by the host: 0000:00:1f.2 is bound to ahci
├─ 0000:00:1f.0 0601 8086:2918 Intel Corporation: fine, without a driver
├─ 0000:00:1f.2 0106 8086:2922 Intel Corporation [ahci]: blocks
└─ 0000:00:1f.3 0c05 8086:2930 Intel Corporation: fine, without a driver
`);
    expect(out).toContain("Group 12 (DMA-FQ): in use, held by the host: 0000:02:00.0 is bound to nvme\n");
    expect(out).toContain("[nvme]: blocks\n      nvme0n1 is mounted at /\n");
    expect(out).toContain("Group 1 (DMA-FQ): bridge, bridges alone: nothing to pass through\n");
    expect(out).not.toContain("viable");
    machine.bind("0000:00:1f.3", "vfio-pci");
    expect(run(machine, "groups", "00:1f.3").out).toStartWith("Group 10 (DMA-FQ): blocked, held by the host");
  });

  test("of some functions; the exit code tells whether theirs are viable", () => {
    using machine = new Machine();
    expect(run(machine, "groups", "00:1f.3", "2:0.0")).toMatchObject({ code: 1 });
    machine.bind(nvme, "vfio-pci");
    const one = run(machine, "groups", "2:0.0");
    expect(one.code).toBe(0);
    expect(one.out).toBe(
      "Group 12 (DMA-FQ): ready, no driver of the host holds a member\n└─ 0000:02:00.0 0108 1b36:0010 QEMU NVM Express Controller [vfio-pci]: fine\n",
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
          state: "ready",
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
    expect(out).toStartWith("0000:02:00.0 Non-Volatile memory controller [0108]: 1b36:0010 (rev 02)");
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

test("a name or vendor:device in place of a BDF", () => {
  using machine = new Machine();
  busy(machine);
  machine.block(nvme, "nvme/nvme0/nvme0n1/nvme0n1p2", "259:2");
  machine.put(`${machine.folder(nvme)}/nvme/nvme0/nvme0n1/nvme0n1p2/partition`, "2");
  machine.put("/dev/nvme0n1p2", "");
  machine.link("/dev/disk/by-label/root", "/dev/nvme0n1p2");
  for (const word of ["nvme0n1", "nvme0n1p2", "/dev/disk/by-label/root", "1b36:0010"]) {
    expect([word, json(machine, "doctor", word)["device"]]).toEqual([word, nvme]);
    expect(run(machine, "bind", word).err).toStartWith(`bun-vfio: refused: ${nvme}: `);
    expect(run(machine, "show", word).out).toStartWith(nvme);
  }
  expect(run(machine, "groups", "eth0").out).toStartWith("Group 13 ");
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
  expect(run(machine, "doctor", "nvme7").err).toBe(
    'bun-vfio: "nvme7": this host has no such device: expected a BDF, vendor:device, or the name of an interface or disk; bun-vfio ls lists those it has\n',
  );
  expect(run(machine, "doctor", "8086:10ca").err).toBe(
    "bun-vfio: 8086:10ca: several devices: 0000:04:10.0, 0000:04:10.2; give the BDF of one\n",
  );
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

  test("to standard output: the image alone, as the file would be", () => {
    using machine = new Machine();
    using folder = temporary();
    const file = folder.at("nvme.json");
    run(machine, "record", "2:0.0", "-o", file);
    expect(run(machine, "record", "2:0.0", "-o", "-")).toEqual({
      code: 0,
      out: readFileSync(file, "utf8"),
      err: "",
    });
    expect(run(machine, "record", "2:0.0", "-o", "-", "--json")).toEqual({
      code: 2,
      out: "",
      err: "bun-vfio: --json and the image cannot both be standard output\n",
    });
    const redacted = run(machine, "record", "2:0.0", "-o", "-", "--redact");
    expect(readImage(redacted.out).host.notes).toContain(
      "redacted: serial numbers, MAC addresses and VPD are replaced",
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
