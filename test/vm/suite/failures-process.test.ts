// machines: (intel, none)
// takes: 30 s
// What is left of a process that ends, what its children see, and what it lives through: removal, resets, a dark BAR.
import { afterAll, describe, expect, test } from "bun:test";
import { dlopen } from "bun:ffi";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { Eventfd, waitReadable } from "../../../src/ffi/eventfd.ts";
import { EventfdListener } from "../../../src/ffi/eventfd-listener.ts";
import { MemoryFile } from "../../../src/ffi/memory-file.ts";
import { open, ways } from "./support/apis.ts";
import { shell, temporary } from "./support/command.ts";
import { bindTo, descriptors, ownDescriptors, sysDevices, take } from "./support/devices.ts";
import { holder } from "./support/holder.ts";
import { page } from "./support/rules.ts";

// The first program that is started costs Bun an eventfd of its own.
shell("true");
const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

const bytes = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(size));
const way = ways[0]!;

/** Code that leaves nothing of a device unused: decoding, a mapped BAR, memory mapped for DMA, vectors, an event. */
const everything = `
  const { EventfdListener } = ffi;
  device.write(7, 4, Uint8Array.of(6, 0));
  const mapping = device.map(0, { offset: 0, size: ${page} });
  mapping.registers.read32(0);
  const memory = new ffi.AnonymousMemory(2 ** 21);
  device.iommu?.map({ iova: 2 ** 21, size: 2 ** 21, hva: memory.address, readable: true, writable: true });
  const eventfds = Array.from({ length: 3 }, () => new ffi.Eventfd());
  device.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds: eventfds.map(({ fd }) => fd) } });
  const listeners = eventfds.map(({ fd }) => new ffi.EventfdListener(fd, () => {}, { keepAlive: true }));
  device.on("remove-requested", () => {});`;

/** A device that nobody has touched before. */
function expectUntouched(device: KernelDevice): void {
  const config = bytes(256);
  device.read(RegionIndex.config, 0, config);
  // No bus mastering, and the capability at 0x40 of QEMU's nvme is MSI-X: bit 15 of its control turns it on.
  expect(config[4]! & 4).toBe(0);
  expect([config[0x40], config[0x43]! & 0x80]).toEqual([0x11, 0]);
  if (device.iommu) {
    using memory = new AnonymousMemory(page);
    device.iommu.map({ iova: 2 ** 21, size: page, hva: memory.address, readable: true, writable: true });
    expect(device.iommu.unmapAll()).toBe(page);
  }
  expect(device.selfTest(3).flatMap(({ problems }) => problems)).toEqual([]);
}

for (const one of ways)
  describe(one.name, () => {
    test("a process that is killed with a device, mappings, DMA and interrupts leaves the device as new", async () => {
      const bdf = take("nvme");
      const other = await holder(bdf, one.api, everything);
      expect(await other.end("SIGKILL")).toBe("SIGKILL");
      using device = open(bdf, one);
      expectUntouched(device);
    });
  });

test("a process that is asked to end closes its device in a handler; without one it simply ends", async () => {
  const bdf = take("nvme");
  const handler = `process.on("SIGTERM", () => { device[Symbol.dispose](); process.exit(7); });`;
  const kind = await holder(bdf, way.api, `${everything}\n${handler}`);
  expect(await kind.end("SIGTERM")).toBe(7);
  const other = await holder(bdf, way.api, everything);
  expect(await other.end("SIGTERM")).toBe("SIGTERM");
  using device = open(bdf, way);
  expectUntouched(device);
});

test("a program that is started inherits no descriptor of a device", () => {
  using folder = temporary();
  using device = open(take("nvme"), way);
  using eventfd = new Eventfd();
  using _file = new MemoryFile({ name: "test", size: page });
  using _listener = new EventfdListener(eventfd.fd, () => {}, { keepAlive: false });
  using _notice = device.on("remove-requested", () => {});
  using vectors = device.vectors(IrqIndex.msix);
  vectors.arm(0);
  const open_ = descriptors().filter((line) => /vfio|iommu|eventfd|memfd|eventpoll/.test(line));
  expect(open_.length).toBeGreaterThan(4);
  const inheritable = open_.filter((line) => {
    const info = readFileSync(`/proc/self/fdinfo/${line.split(" ")[0]}`, "utf8");
    return (parseInt(/^flags:\s+([0-7]+)$/m.exec(info)![1]!, 8) & 0o2000000) === 0;
  });
  expect(inheritable).toEqual([]);
  // By libc, since Bun closes what its children should not have: a program of C's would not.
  using libc = closing(dlopen("libc.so.6", { system: { args: ["ptr"], returns: "int" } }));
  const list = folder.at("list");
  expect(libc.symbols.system(Buffer.from(`ls -l /proc/self/fd > ${list}\0`))).toBe(0);
  const inherited = readFileSync(list, "utf8");
  expect(inherited).toContain("-> ");
  expect(inherited).not.toMatch(/-> .*(?:\/dev\/vfio|\/dev\/iommu|anon_inode|memfd)/);
});

const closing = <Library extends { close(): void }>(library: Library): Library & Disposable =>
  Object.assign(library, { [Symbol.dispose]: () => library.close() });

test("a mapping that is touched without memory decoding ends the process with SIGBUS; a read does not", async () => {
  const bdf = take("nvme");
  const dark = `
    device.write(7, 4, Uint8Array.of(2, 0));
    const mapping = device.map(0, { offset: 0, size: ${page} });
    device.write(7, 4, Uint8Array.of(0, 0));
    try { device.read(0, 0, new Uint8Array(4)); } catch ({ code }) { if (code !== "EIO") throw code; }
    process.on("SIGTERM", () => mapping.registers.read32(0));`;
  const other = await holder(bdf, way.api, dark, "ignore");
  expect(await other.end("SIGTERM")).toBe("SIGBUS");
  using device = open(bdf, way);
  device.write(RegionIndex.config, 4, Uint8Array.of(2, 0));
  device.read(RegionIndex.bar0, 0, bytes(4));
});

test("a device that is removed while it is open is asked for, stays until it is closed, and comes back with a rescan", async () => {
  const bdf = take("edu");
  using device = open(bdf, way);
  const asked = Promise.withResolvers<void>();
  device.on("remove-requested", () => asked.resolve());
  const remove = Bun.spawn(["sh", "-c", `echo 1 > ${sysDevices}/${bdf}/remove`]);
  await asked.promise;
  expect([remove.exitCode, existsSync(`${sysDevices}/${bdf}`)]).toEqual([null, true]);
  device.read(RegionIndex.config, 0, bytes(4));
  device[Symbol.dispose]();
  expect(await remove.exited).toBe(0);
  expect(() => open(bdf, way)).toThrow(
    expect.objectContaining({ hint: `There is no PCI device ${bdf} on this host.` }),
  );
  writeFileSync("/sys/bus/pci/rescan", "1");
  expect(readdirSync(sysDevices)).toContain(bdf);
  open(take("edu"), way)[Symbol.dispose]();
});

test("resets while another thread reads registers: it gets values or EIO, and mappings and vectors work afterwards", async () => {
  using device = open(take("nvme"), way);
  device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
  using mapping = device.map(RegionIndex.bar0, { offset: 0, size: page });
  const version = mapping.registers.read32(8);
  const state = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(
    URL.createObjectURL(
      new Blob([
        `import { readSync } from "node:fs";
        self.onmessage = ({ data: { fd, offset, state } }) => {
          const bytes = new Uint8Array(4);
          const seen = {};
          while (Atomics.load(state, 0) === 0) {
            let what = "value";
            try { readSync(fd, bytes, 0, 4, offset); } catch ({ code }) { what = code; }
            seen[what] = (seen[what] ?? 0) + 1;
            Atomics.add(state, 1, 1);
          }
          postMessage(seen);
        };`,
      ]),
    ),
  );
  const result = new Promise<Record<string, number>>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data as Record<string, number>);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.postMessage({ fd: device.fd, offset: device.regions[0]!.offset + 8, state });
  while (Atomics.load(state, 1) === 0) await Bun.sleep(5);
  for (let i = 0; i < 20; i++) {
    device.reset();
    expect(mapping.registers.read32(8)).toBe(version);
    await Bun.sleep(1);
  }
  Atomics.store(state, 0, 1);
  const seen = await result;
  worker.terminate();
  expect(Object.keys(seen).filter((what) => what !== "value" && what !== "EIO")).toEqual([]);
  expect(seen["value"]).toBeGreaterThan(20);
  using vectors = device.vectors(IrqIndex.msix);
  const eventfd = vectors.arm(0);
  device.reset();
  device.setIrqs({
    index: IrqIndex.msix,
    action: "trigger",
    start: 0,
    data: { kind: "bool", values: [true] },
  });
  expect(waitReadable(eventfd.fd, 2000)).toBe(true);
});

test("a driver that comes back finds the device after all of that", () => {
  const bdf = take("nvme");
  bindTo(bdf, undefined);
  shell(`modprobe nvme`);
  writeFileSync(`${sysDevices}/${bdf}/driver_override`, "\n");
  if (!existsSync(`${sysDevices}/${bdf}/driver`)) writeFileSync("/sys/bus/pci/drivers_probe", bdf);
  expect(readlinkSync(`${sysDevices}/${bdf}/driver`)).toEndWith("/nvme");
  shell("dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1; rmmod nvme");
});
