import { expect, test } from "bun:test";
import { DmaMap } from "../../../src/device/dma/dma-map.ts";
import { GuestRam } from "../../../src/device/dma/guest-ram.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { MemoryFile } from "../../../src/ffi/memory-file.ts";
import { MemoryIommu } from "../../support/memory-iommu.ts";
import { refusal } from "../../support/refusal.ts";

const page = 4096;
const high = 2 ** 32;

test("pieces are found and mapped where the guest has them, and a range across two of them is nowhere", () => {
  using file = new MemoryFile({ size: 8 * page, name: "guest RAM" });
  using memory = file.map();
  const ram = new GuestRam([
    { gpa: high, size: 5 * page, memory, file, offset: 3 * page },
    { gpa: 0, size: 2 * page, memory, file },
    { gpa: 2 * page, size: page, memory, file, offset: 2 * page },
  ]);
  expect(ram.hostAddress(high + 1, 5 * page - 1)).toBe(memory.address + 3 * page + 1);
  expect(ram.hostAddress(high, 5 * page + 1)).toBeUndefined();
  expect(ram.hostAddress(page, 2 * page)).toBeUndefined();
  expect(ram.hostAddress(high - page, page)).toBeUndefined();
  for (const mapsFiles of [false, true]) {
    const iommu = new MemoryIommu({ mapsFiles });
    using dma = new DmaMap(iommu);
    using mapped = ram.mapFor(dma);
    const at = (offset: number) => (mapsFiles ? { fd: file.fd, offset } : undefined);
    expect(dma.mappings).toMatchObject([
      { iova: 0, size: 2 * page, hva: memory.address, file: at(0), label: "guest RAM" },
      { iova: 2 * page, size: page, hva: memory.address + 2 * page, file: at(2 * page) },
      { iova: high, size: 5 * page, hva: memory.address + 3 * page, file: at(3 * page) },
    ]);
    mapped[Symbol.dispose]();
    expect(iommu.mapped.size).toBe(0);
  }
});

test("pieces of several memories; each device maps them for itself, and the last takes them back", () => {
  using low = new AnonymousMemory(2 * page);
  using upper = new AnonymousMemory(page);
  const ram = new GuestRam([
    { gpa: 0, size: 2 * page, memory: low },
    { gpa: high, size: page, memory: upper },
  ]);
  expect([ram.hostAddress(page, 1), ram.hostAddress(high, page)]).toEqual([
    low.address + page,
    upper.address,
  ]);
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const first = ram.mapFor(dma);
  const second = ram.mapFor(dma);
  expect(iommu.mapped.size).toBe(2);
  first[Symbol.dispose]();
  expect(iommu.mapped.size).toBe(2);
  second[Symbol.dispose]();
  expect(iommu.mapped.size).toBe(0);
});

test("a piece where the IOMMU reserves addresses is refused, and none of the others is left mapped", () => {
  using file = new MemoryFile({ size: 4 * page, name: "guest RAM" });
  using memory = file.map();
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const ram = new GuestRam([
    { gpa: 0, size: page, memory },
    { gpa: 0xfee0_0000, size: page, memory, offset: page },
  ]);
  expect(refusal(() => ram.mapFor(dma)).code).toBe("ERANGE");
  expect(iommu.mapped.size).toBe(0);
});

test("pieces outside of the memory, or over each other, are refused", () => {
  using file = new MemoryFile({ size: 2 * page, name: "guest RAM" });
  using memory = file.map();
  expect(() => new GuestRam([{ gpa: 0, size: 2 * page, memory, offset: page }])).toThrow(RangeError);
  expect(() => new GuestRam([{ gpa: 0, size: page, memory, offset: -page }])).toThrow(RangeError);
  expect(() => new GuestRam([{ gpa: "0" as never, size: page, memory }])).toThrow(TypeError);
  const one = { gpa: 0, size: page, memory };
  expect(() => new GuestRam([one, one])).toThrow(RangeError);
});
