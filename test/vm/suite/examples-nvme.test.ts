// machines: (intel, virtio, vfio-user)
// takes: 120 s
// The example of a driver for NVMe, by each way to open a device that maps DMA; with QEMU's and with the one of examples/devices.
import { afterAll, describe, expect, spyOn, test } from "bun:test";
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { Nvme } from "../../../examples/nvme/nvme.ts";
import { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { root } from "../../support/tree.ts";
import { ways } from "./support/apis.ts";
import { ownDescriptors, take } from "./support/devices.ts";

const disk = "/out/disk-nvme.img";
const diskSize = 16 * 2 ** 20;

/** What is really there, by another way than the driver's. */
function onDisk(at: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const fd = openSync(disk, "r");
  expect(readSync(fd, bytes, 0, size, at)).toBe(size);
  closeSync(fd);
  return bytes;
}

function pattern(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i * 31 + (i >>> 8) * 17 + seed;
  return bytes;
}
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const interrupts = (nvme: Nvme): number[] => nvme.queues.map((queue) => queue.interrupts);

/** CC and CSTS, as a driver left them. */
function leftBehind(device: KernelDevice): { enabled: boolean; ready: boolean } {
  const word = new Uint8Array(4);
  device.read(RegionIndex.bar0, 0x14, word);
  const enabled = (word[0]! & 1) !== 0;
  device.read(RegionIndex.bar0, 0x1c, word);
  return { enabled, ready: (word[0]! & 1) !== 0 };
}

// The first program that is started costs Bun an eventfd of its own.
Bun.spawnSync(["true"]);
const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

for (const [index, { name, options, api }] of ways.entries())
  describe(name, () => {
    test("identifies, writes and reads by two queues with an interrupt each, and it is on the disk", async () => {
      using nvme = await Nvme.open(take("nvme"), options);
      expect(nvme.device.api).toBe(api);
      expect(nvme.identify).toMatchObject({ serial: "BUNVFIO0", blockSize: 512 });
      expect(nvme.identify.model).toMatch(/^(?:QEMU|Bun) NVMe Ctrl$/);
      expect(nvme.identify.blocks * 512).toBe(diskSize);
      // Two to identify, one for the number of queues, four to create them.
      expect(interrupts(nvme)).toEqual([7, 0, 0]);
      for (const [n, blocks] of [1, 8, 9, 16, 17, 255].entries()) {
        const lba = 1000 * index + 300 * n;
        const bytes = pattern(blocks * 512, index * 16 + n);
        await nvme.write(lba, bytes);
        expect(same(await nvme.read(lba, blocks), bytes)).toBe(true);
        expect(same(onDisk(lba * 512, bytes.length), bytes)).toBe(true);
      }
      // One command after the other, in turn by queue 1 and 2.
      expect(interrupts(nvme)).toEqual([7, 6, 6]);
    });

    test("many commands at once, more than there is room for, in pieces as large as the controller takes", async () => {
      using nvme = await Nvme.open(take("nvme"), options);
      const bytes = pattern(8 * 2 ** 20, 100 + index);
      await nvme.write(2 ** 13, bytes);
      expect(same(onDisk(2 ** 13 * 512, bytes.length), bytes)).toBe(true);
      const places = Array.from({ length: 200 }, (_, n) => (n * 7919) % (bytes.length / 512));
      const read = await Promise.all(places.map((at) => nvme.read(2 ** 13 + at, 1)));
      const wrong = places.filter((at, n) => !same(read[n]!, bytes.subarray(at * 512, (at + 1) * 512)));
      expect(wrong).toEqual([]);
    });

    test("blocks behind the end: the controller's status as an error, and the next command works", async () => {
      using nvme = await Nvme.open(take("nvme"), options);
      const { blocks } = nvme.identify;
      const refused = nvme.read(blocks - 1, 2);
      expect(refused).rejects.toMatchObject({
        message: `read 2 blocks at ${blocks - 1}: LBA out of range (status 0x80)`,
        status: 0x80,
      });
      await refused.catch(() => {});
      expect((await nvme.read(blocks - 1, 1)).length).toBe(512);
    });

    test("leaves the controller disabled, and its memory unmapped, before the device is closed", async () => {
      const states: unknown[] = [];
      const close = KernelDevice.prototype[Symbol.dispose];
      using _ = spyOn(KernelDevice.prototype, Symbol.dispose).mockImplementation(function (
        this: KernelDevice,
      ) {
        const command = new Uint8Array(2);
        this.read(RegionIndex.config, 4, command);
        const busMaster = (command[0]! & 4) !== 0;
        states.push({ ...leftBehind(this), busMaster, mappings: this.dma!.mappings });
        close.call(this);
      });
      const nvme = await Nvme.open(take("nvme"), options);
      expect(leftBehind(nvme.device)).toEqual({ enabled: true, ready: true });
      nvme[Symbol.dispose]();
      expect(states).toEqual([{ enabled: false, ready: false, busMaster: false, mappings: [] }]);
    });

    test("a reset under traffic ends every command with an error, soon, and the device can be opened again", async () => {
      const bdf = take("nvme");
      {
        using nvme = await Nvme.open(bdf, { ...options, timeout: 500 });
        const reads = Array.from({ length: 200 }, (_, n) => nvme.read(n, 1));
        nvme.device.reset();
        const results = await Promise.allSettled(reads);
        const failed = results.flatMap(({ status, ...rest }) =>
          status === "rejected" ? [(rest as { reason: Error }).reason.message] : [],
        );
        // Those that there was no room for before the reset, at least.
        expect(failed.length).toBeGreaterThanOrEqual(200 - 30);
        for (const message of failed)
          expect(message).toMatch(/^read 1 blocks at \d+: no answer to "read 1 blocks at \d+" after 500 ms$/);
        expect(nvme.read(0, 1)).rejects.toThrow("no answer to");
      }
      using again = await Nvme.open(bdf, options);
      expect((await again.read(0, 1)).length).toBe(512);
    });

    test("a process that is killed in the middle of DMA leaves the device openable", async () => {
      const bdf = take("nvme");
      const script = `
        import { Nvme } from "${join(root, "examples/nvme/nvme.ts")}";
        const nvme = await Nvme.open("${bdf}", ${JSON.stringify(options)});
        const some = new Uint8Array(2 ** 20).fill(0x77);
        await nvme.write(0, some);
        console.log("busy");
        for (;;) await Promise.all([nvme.read(0, 2048), nvme.write(2 ** 14, some)]);`;
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", cwd: root });
      const { value } = await child.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toStartWith("busy");
      child.kill("SIGKILL");
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      using nvme = await Nvme.open(bdf, options);
      expect(same(await nvme.read(0, 2048), new Uint8Array(2 ** 20).fill(0x77))).toBe(true);
    });
  });

describe("the program", () => {
  const run = (stdin: Uint8Array, ...args: string[]) => {
    const program = join(root, "examples/nvme/main.ts");
    const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, program, ...args], { stdin });
    return { exitCode, out: stdout, errors: stderr.toString() };
  };
  const none = new Uint8Array(0);

  test("identifies, writes what it is given, reads it back, measures", () => {
    const bdf = take("nvme");
    const identity = run(none, bdf, "identify");
    expect([identity.exitCode, identity.errors]).toEqual([0, ""]);
    expect(JSON.parse(identity.out.toString())).toMatchObject({ serial: "BUNVFIO0", blocks: diskSize / 512 });
    const bytes = pattern(5 * 512, 42);
    expect(run(bytes, bdf, "write", "7")).toMatchObject({ exitCode: 0, errors: "" });
    expect(same(onDisk(7 * 512, bytes.length), bytes)).toBe(true);
    const read = run(none, bdf, "read", "7", "5", "--api", "group");
    expect([read.exitCode, read.errors, same(read.out, bytes)]).toEqual([0, "", true]);
    const bench = run(none, bdf, "bench");
    expect([bench.exitCode, bench.errors]).toEqual([0, ""]);
    expect(bench.out.toString()).toMatch(
      /^one block, .* p50 \d+ us, p99 \d+ us\n\d+ blocks a command: \d+ MB\/s\n$/,
    );
  });

  test("ends with 1 and the reason for blocks that there are not, for parts of blocks, for another device", () => {
    const bdf = take("nvme");
    const refused = (stdin: Uint8Array, ...args: string[]) => {
      const { exitCode, out, errors } = run(stdin, ...args);
      expect([exitCode, out.length]).toEqual([1, 0]);
      return errors;
    };
    expect(refused(none, bdf, "read", "32768", "1")).toBe(
      "nvme: read 1 blocks at 32768: LBA out of range (status 0x80)\n",
    );
    expect(refused(pattern(700, 0), bdf, "write", "0")).toContain("integers");
    expect(refused(none, take("edu"), "identify")).toContain("no NVMe controller");
    openDevice(bdf)[Symbol.dispose]();
  });
});
