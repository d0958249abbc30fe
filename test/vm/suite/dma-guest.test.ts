// machines: (intel, intel-new)
// takes: 40 s
// DMA for virtual machines: guest RAM of any size, what a virtual IOMMU asks for, and BARs that peers reach.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { DeviceEvent } from "../../../src/device/seam/events.ts";
import { ExternalDma } from "../../../src/device/dma/external-dma.ts";
import { GuestRam } from "../../../src/device/dma/guest-ram.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import type { Platform } from "../../../src/device/seam/platform.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { systemCalls } from "../../../src/ffi/system-calls.ts";
import { lockedMemory } from "../../../src/ffi/limits.ts";
import { Mapping } from "../../../src/ffi/mapping.ts";
import { MemoryFile } from "../../../src/ffi/memory-file.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { master, memory as decode } from "../../support/attached.ts";
import { refusal } from "../../support/refusal.ts";
import { deviceMappings, ownDescriptors, take } from "./support/devices.ts";
import { open, sharedBy, ways } from "./support/apis.ts";
import { addressLimit, Edu } from "./support/edu.ts";
import { hasDmaBufs, messageWindow, page } from "./support/rules.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const state = () => {
  const { locked, pinned } = lockedMemory();
  return { descriptors: ownDescriptors(), mappings: deviceMappings(), locked, pinned };
};
const before = state();
afterAll(() => expect(state()).toEqual(before));

const pattern = (size: number, seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: size }, (_, i) => (i * 5 + seed) & 0xff);

const pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const inPool = 32 * MiB;

/** Addresses of 6 GiB with 32 MiB of huge pages behind, again and again: this machine has no 6 GiB to pin. */
function largeMemory(size: number): { memory: Mapping } & Disposable {
  using failed = new DisposableStack();
  const usual = readFileSync(pool, "utf8");
  writeFileSync(pool, "16");
  failed.defer(() => writeFileSync(pool, usual));
  using file = new MemoryFile({ size: inPool, hugePages: "2 MiB", name: "guest RAM" });
  // A file that takes no memory, of which nothing is left in the end.
  using addresses = new MemoryFile({ size, name: "addresses" });
  const memory = failed.use(new Mapping({ fd: addresses.fd, size, alignment: 2 * MiB, name: "guest RAM" }));
  const [readWrite, sharedFixed] = [3, 0x11];
  for (let at = 0; at < size; at += inPool) {
    const address = memory.address + at;
    const mapped = systemCalls().mmap(address, inPool, readWrite, sharedFixed, file.fd, 0);
    expect(Number(mapped)).toBe(address);
  }
  const all = failed.move();
  return { memory, [Symbol.dispose]: () => all[Symbol.dispose]() };
}

test("guest RAM of 6 GiB is two mappings and two ioctls, around the IOMMU's holes", () => {
  using large = largeMemory(6 * GiB);
  const { memory } = large;
  const ram = new GuestRam([
    { gpa: 0, size: 2 * GiB, memory, offset: 4 * GiB },
    { gpa: 4 * GiB, size: 4 * GiB, memory },
  ]);
  for (const way of ways) {
    using device = open(take("edu"), way);
    using edu = new Edu(device);
    const dma = device.dma!;
    // What the address space allows is known from here on.
    expect(dma.findIova(page)).toBeDefined();
    const calls: string[] = [];
    using trace = traceSyscalls(({ name }) => void calls.push(name));
    using mapped = ram.mapFor(dma);
    trace[Symbol.dispose]();
    expect([way.name, calls.filter((name) => name.startsWith("ioctl")).length]).toEqual([way.name, 2]);
    expect(dma.mappings.map(({ iova, size }) => [iova, size])).toEqual([
      [0, 2 * GiB],
      [4 * GiB, 4 * GiB],
    ]);
    // Above 4 GiB in the memory, below the device's limit in the guest.
    const source = memory.view(4 * GiB + 5 * MiB, page);
    source.set(pattern(page, 1));
    edu.load(5 * MiB, page);
    edu.store(9 * MiB, page);
    expect(memory.view(4 * GiB + 9 * MiB, page)).toEqual(pattern(page, 1));
    memory.view(4 * GiB + 9 * MiB, page).fill(0);
    mapped[Symbol.dispose]();
    edu.store(9 * MiB, page);
    expect(memory.view(4 * GiB + 9 * MiB, page)).toEqual(new Uint8Array(page));
  }
}, 120_000);

for (const way of ways)
  describe(way.name, () => {
    test("what a virtual IOMMU asks for: its addresses, its access, nothing across pieces of RAM", () => {
      using device = open(take("edu"), way);
      using edu = new Edu(device);
      using file = new MemoryFile({ size: 16 * page, name: "guest RAM" });
      using memory = file.map();
      const ram = new GuestRam([
        { gpa: 0, size: 8 * page, memory, file },
        { gpa: 8 * page, size: 8 * page, memory, file, offset: 8 * page },
      ]);
      const external = new ExternalDma(device.dma!, ram);
      const rw = { readable: true, writable: true };
      external.map({ iova: MiB, gpa: 2 * page, size: 2 * page, ...rw });
      external.map({ iova: 2 * MiB, gpa: 12 * page, size: page, readable: true, writable: false });
      external.map({ iova: 3 * MiB, gpa: 13 * page, size: page, readable: false, writable: true });
      expect(refusal(() => external.map({ iova: 4 * MiB, gpa: 7 * page, size: 2 * page, ...rw })).code).toBe(
        "EFAULT",
      );
      expect(refusal(() => external.map({ iova: messageWindow.base, gpa: 0, size: page, ...rw })).code).toBe(
        "ERANGE",
      );
      const at = (number: number): Uint8Array => memory.view(number * page, page);
      at(12).set(pattern(page, 2));
      edu.load(2 * MiB, page);
      edu.store(MiB + page, page);
      edu.store(3 * MiB, page);
      expect([at(3), at(13)]).toEqual([pattern(page, 2), pattern(page, 2)]);
      at(3).set(pattern(page, 3));
      edu.load(MiB + page, page);
      edu.store(2 * MiB, page);
      expect(at(12)).toEqual(pattern(page, 2));
      expect(external.unmap(0, 16 * MiB)).toBe(4 * page);
      expect(device.dma!.mappings).toEqual([]);
      edu.store(MiB + page, page);
      edu.store(3 * MiB, page);
      expect([at(3), at(13)]).toEqual([pattern(page, 3), pattern(page, 2)]);
    });

    test("a guest's BAR is in reach of a peer at its guest address, or an event says why not", () => {
      using shared = sharedBy(way);
      const nvme = openDevice(take("nvme"), { iommu: shared });
      using device = openDevice(take("edu"), { iommu: shared });
      using edu = new Edu(device);
      using buffer = shared.dma!.allocate(page, { below: addressLimit });
      const events: DeviceEvent[] = [];
      // Windows that edu's address lines reach.
      using machine = new MemoryPlatform({
        windows: { mmio32: { base: 64 * MiB, size: 64 * MiB }, mmio64: { base: 128 * MiB, size: 64 * MiB } },
      });
      const { pageSize, memory, interrupts, addresses, bus } = machine;
      const platform: Platform = { pageSize, memory, interrupts, addresses, bus, dma: shared.dma };
      using guest = VfioPciDevice.attach(nvme, platform, { onEvent: (event) => void events.push(event) });
      guest.configWrite(4, 2, decode | master);
      const bar = guest.describe().bars.find(({ region }) => region === 0)!;
      const unreachable = events.filter(({ kind }) => kind === "peer-unavailable");
      const version = 8;
      buffer.view.setUint32(0, 0);
      const ask = (): number => {
        edu.load(buffer.iova, page);
        edu.load(bar.base! + version, 4);
        edu.store(buffer.iova + 16, 4);
        return buffer.view.getUint32(16, true);
      };
      // A container maps what a process has mapped; an iommufd a dma-buf, of kernels that give one out.
      if (way.api === "group" || (way.api === "iommufd" && hasDmaBufs)) {
        expect(unreachable).toEqual([]);
        expect(shared.dma!.mappings.find(({ iova }) => iova === bar.base)).toMatchObject({
          deviceMemory: true,
        });
        // NVMe's version register, 1.4, read by edu.
        expect(ask()).toBe(0x0001_0400);
        guest.configWrite(4, 2, master);
        expect(ask()).not.toBe(0x0001_0400);
        guest.configWrite(4, 2, decode | master);
        expect(ask()).toBe(0x0001_0400);
      } else {
        expect(unreachable.length).toBeGreaterThan(0);
        expect(unreachable[0]!.cause).toMatchObject({
          code: "EOPNOTSUPP",
          message: expect.stringContaining("iommufd can map device memory only through a dma-buf"),
        });
        expect(nvme.features().dmaBuf).toEqual(hasDmaBufs ? { get: true, set: false } : undefined);
        expect(ask()).not.toBe(0x0001_0400);
      }
      guest[Symbol.dispose]();
      expect(shared.dma!.mappings.length).toBe(1);
    });
  });
