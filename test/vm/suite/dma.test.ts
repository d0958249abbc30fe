// machines: intel (virtio, none, amd, arm) [intel-new, intel-old]
// takes: 60 s
// Memory that a device really reads and writes, what it cannot reach, and what is left of it: nothing.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Container } from "../../../src/device/backends/kernel/container.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import type { DmaMap } from "../../../src/device/dma/dma-map.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { mapDma, unmapDma } from "../../../src/ffi/vfio-type1.ts";
import { vfioDmaMapFlag } from "../../../src/regs/ioctl/vfio-iommu.ts";
import { lockedMemory } from "../../../src/ffi/limits.ts";
import { refusal } from "../../support/refusal.ts";
import { hasIommu, ownDescriptors, take } from "./support/devices.ts";
import { open, openElsewhere, sharedBy, ways } from "./support/apis.ts";
import { addressLimit, Edu, ownBufferSize } from "./support/edu.ts";
import { page } from "./support/rules.ts";

const locked = () => {
  const { locked, pinned } = lockedMemory();
  return { locked, pinned };
};
const before = { descriptors: ownDescriptors(), locked: locked() };
afterAll(() => expect({ descriptors: ownDescriptors(), locked: locked() }).toEqual(before));

/** Mappings of this process that are a buffer's memory. */
const bufferMemory = (): string[] =>
  readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => line.includes("/memfd:DMA buffer"));

const pattern = (size: number, seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: size }, (_, i) => (i * 7 + seed) & 0xff);

if (!hasIommu)
  test("without an IOMMU there is nothing that maps", () => {
    using device = open(take("edu"), ways[0]!);
    expect([device.dma, device.iommu]).toEqual([undefined, undefined]);
  });

for (const way of hasIommu ? ways : [])
  describe(way.name, () => {
    test("a device reads and writes a buffer, from its first byte to its last", () => {
      using device = open(take("edu"), way);
      using edu = new Edu(device);
      const dma = device.dma!;
      using from = dma.allocate(3 * ownBufferSize, { below: addressLimit, label: "source" });
      using to = dma.allocate(3 * ownBufferSize, { below: addressLimit, label: "destination" });
      from.bytes.set(pattern(from.size, 1));
      // The second page to the third, and across pages, so that the IOMMU's tables are right and not merely there.
      edu.load(from.iova + ownBufferSize, ownBufferSize);
      edu.store(to.iova + 2 * ownBufferSize, ownBufferSize);
      edu.load(from.iova + 100, 1000);
      edu.store(to.iova + ownBufferSize - 500, 1000);
      const expected = new Uint8Array(to.size);
      expected.set(from.bytes.subarray(ownBufferSize, 2 * ownBufferSize), 2 * ownBufferSize);
      expected.set(from.bytes.subarray(100, 1100), ownBufferSize - 500);
      expect(to.bytes).toEqual(expected);
      expect(to.registers.read32(ownBufferSize - 500)).toBe(from.view.getUint32(100, true));
      const { iova } = to;
      to[Symbol.dispose]();
      expect(dma.findIova(3 * ownBufferSize)).toBe(iova);
    });

    test("nothing arrives where nothing is mapped, or may not be written, and all goes on", () => {
      using device = open(take("edu"), way);
      using edu = new Edu(device);
      const dma = device.dma!;
      using own = dma.allocate(page, { below: addressLimit });
      using constant = dma.allocate(page, { below: addressLimit, writable: false, label: "constant" });
      const gone = dma.allocate(page, { below: addressLimit });
      using memory = new AnonymousMemory(page);
      const secret = memory.view(0, page);
      const asked = { iova: gone.iova, size: page, hva: memory.address };
      gone[Symbol.dispose]();
      constant.bytes.set(pattern(page, 2));
      own.bytes.fill(0x11);
      // Mapped once, and then no more: the device must not know it still.
      const mapped = dma.map(asked);
      secret.set(pattern(page, 3));
      edu.load(own.iova, page);
      edu.store(asked.iova, page);
      expect(secret).toEqual(own.bytes);
      mapped[Symbol.dispose]();
      secret.set(pattern(page, 3));
      edu.store(asked.iova, page);
      expect(secret).toEqual(pattern(page, 3));
      edu.load(asked.iova, page);
      edu.store(own.iova, page);
      expect(own.bytes).not.toEqual(pattern(page, 3));
      own.bytes.fill(0x22);
      edu.load(own.iova, page);
      edu.store(constant.iova, page);
      expect(constant.bytes).toEqual(pattern(page, 2));
      edu.load(constant.iova, page);
      edu.store(own.iova, page);
      expect(own.bytes).toEqual(pattern(page, 2));
    });

    test("devices that share an address space share its buffers; each order of closing leaves nothing", () => {
      const shared = sharedBy(way);
      const dma: DmaMap = shared.dma!;
      const nvme = openDevice(take("nvme"), { iommu: shared });
      const device = openDevice(take("edu"), { iommu: shared });
      expect([nvme.dma, device.dma]).toEqual([dma, dma]);
      const buffer = nvme.dma!.allocate(page, { below: addressLimit });
      const second = dma.allocate(page);
      buffer.bytes.set(pattern(page, 4));
      shared[Symbol.dispose]();
      nvme[Symbol.dispose]();
      {
        using edu = new Edu(device);
        edu.load(buffer.iova, page);
        buffer.bytes.fill(0);
        edu.store(buffer.iova, page);
        expect(buffer.bytes).toEqual(pattern(page, 4));
      }
      second[Symbol.dispose]();
      // The address space ends with its last device; the bytes are there until the buffer's own end.
      device[Symbol.dispose]();
      expect(dma.mappings).toEqual([]);
      expect(locked()).toEqual(before.locked);
      expect(buffer.bytes).toEqual(pattern(page, 4));
      buffer[Symbol.dispose]();
      buffer[Symbol.dispose]();
      expect(refusal(() => buffer.bytes).code).toBe("ECLOSED");
      expect(refusal(() => dma.allocate(page)).code).toMatch(/^(ECLOSED|EINVAL)$/);
    });

    test("an address space that is used again keeps nothing of before", () => {
      using shared = sharedBy(way);
      const first = openDevice(take("edu"), { iommu: shared });
      using buffer = shared.dma!.allocate(page);
      first[Symbol.dispose]();
      using device = openDevice(take("edu"), { iommu: shared });
      // An iommufd keeps its mappings; a container without groups has lost them.
      const kept = way.api === "group" ? 0 : 1;
      expect(shared.dma!.mappings.length).toBe(kept);
      using next = device.dma!.allocate(page);
      buffer[Symbol.dispose]();
      expect(device.dma!.mappings.map(({ iova }) => iova)).toEqual([next.iova]);
    });

    // The first API, for all that is the library's own; the others, for what is the kernel's.
    const many = way === ways[0] ? 500 : 100;
    test(`${many} buffers, one after the other, and ${many} at once, leave nothing`, () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      const first = dma.findIova(page);
      for (let i = 0; i < many; i++) dma.allocate(page)[Symbol.dispose]();
      const buffers = Array.from({ length: many }, () => dma.allocate(page));
      expect([dma.mappings.length, dma.lockedBytes, bufferMemory().length > 0]).toEqual([
        many,
        many * page,
        true,
      ]);
      // From the middle out: neighbours in the table are neighbours no longer.
      for (let i = 0; i < many / 2; i++) {
        buffers[many / 2 + i]![Symbol.dispose]();
        buffers[many / 2 - 1 - i]![Symbol.dispose]();
      }
      expect([dma.findIova(page), dma.mappings, bufferMemory()]).toEqual([first, [], []]);
      expect(locked()).toEqual(before.locked);
    });
  });

if (hasIommu)
  test("in a container that somebody else opened, their mappings stay, and ours go", () => {
    const bdf = take("edu");
    using opened = openElsewhere(bdf);
    const { group, container: theirs } = opened;
    using memory = new AnonymousMemory(page);
    mapDma(theirs.fd, vfioDmaMapFlag.READ, memory.address, 2 ** 20, page);
    const container = Container.open({ fd: theirs.fd });
    const device = openDevice(bdf, { iommu: container, fds: { group: group.fd } });
    using buffer = device.dma!.allocate(page);
    const { iova } = buffer;
    container[Symbol.dispose]();
    device[Symbol.dispose]();
    expect(unmapDma(theirs.fd, 0, iova, page)).toBe(0);
    expect(unmapDma(theirs.fd, 0, 2 ** 20, page)).toBe(page);
  });
