import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { DmaMap } from "../../../src/device/dma/dma-map.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import { maxViewSize } from "../../../src/ffi/mapping.ts";
import { MemoryIommu } from "../../support/memory-iommu.ts";
import { refusal } from "../../support/refusal.ts";

const page = 4096;
const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("a buffer is zeros on whole pages, at an IOVA that nothing else has, until its end", () => {
  const before = descriptors();
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  using first = dma.allocate(100, { label: "queue" });
  using second = dma.allocate(2 * page);
  expect([first.size, first.iova, second.iova]).toEqual([100, 0x10000, 0x11000]);
  expect([first.addressAt(99), second.addressAt(page)]).toEqual([0x10000 + 99, 0x12000]);
  for (const offset of [-1, 100, 0.5]) expect(() => first.addressAt(offset)).toThrow(RangeError);
  expect(first.bytes).toEqual(new Uint8Array(100));
  expect(dma.mappings).toMatchObject([
    { iova: 0x10000, size: page, hva: first.hva, readable: true, writable: true, label: "queue" },
    { iova: 0x11000, size: 2 * page, hva: second.hva, label: "DMA buffer" },
  ]);
  first.view.setUint32(4, 0x12345678, true);
  expect(first.bytes[4]).toBe(0x78);
  expect(first.registers.read32(4)).toBe(0x12345678);
  expect(first.bytes).toBe(first.bytes);
  const bytes = first.bytes;
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(iommu.calls).toEqual(["map 10000+1000", "map 11000+2000", "unmap 10000+1000"]);
  expect(bytes.length).toBe(0);
  for (const use of [() => first.bytes, () => first.view, () => first.iova, () => first.registers.read32(0)])
    expect(refusal(use).code).toBe("ECLOSED");
  expect(descriptors()).toBe(before);
});

test("where, for whom: alignment, limit, access", () => {
  using dma = new DmaMap(new MemoryIommu());
  using aligned = dma.allocate(page, { alignment: 2 ** 20, readable: false });
  using large = dma.allocate(2 ** 21);
  expect([aligned.iova, large.iova]).toEqual([2 ** 20, 2 ** 21]);
  expect(dma.mappings[0]).toMatchObject({ readable: false, writable: true });
  const error = refusal(() => dma.allocate(2 ** 21, { below: 2 ** 22, label: "ring" }));
  expect(error.code).toBe("ENOSPC");
  expect(error.message).toBe(
    "cannot map ring (IOMMU in memory): no 2 MiB of IOVAs are free below 0x400000, aligned to 2 MiB",
  );
  expect(error.hint).toContain("the IOMMU allows 0x0-0xfedfffff, 0xfef00000-0x7fffffffff");
});

test.each([0, -1, 1.5, NaN, maxViewSize + 1])("%p bytes are no buffer", (size) => {
  using dma = new DmaMap(new MemoryIommu());
  expect(() => dma.allocate(size)).toThrow(RangeError);
});

test("wrong types and alignments are refused before anything is made", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  expect(() => dma.allocate("4096" as never)).toThrow(TypeError);
  expect(() => dma.allocate(page, { alignment: 3 })).toThrow(RangeError);
  expect(iommu.calls).toEqual([]);
});

test("an IOMMU that maps files gets the file, which is open as long as the buffer", () => {
  const before = descriptors();
  const iommu = new MemoryIommu({ mapsFiles: true });
  using dma = new DmaMap(iommu);
  using buffer = dma.allocate(page);
  expect(descriptors()).toBe(before + 1);
  expect(iommu.mapped.get(buffer.iova)!.file!.offset).toBe(0);
  buffer[Symbol.dispose]();
  expect(descriptors()).toBe(before);
});

test("memory that the IOMMU does not give back stays, and is given back later", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const buffer = dma.allocate(page);
  buffer.bytes[0] = 7;
  iommu.failNext = new VfioError("not now", { code: "EIO" });
  expect(refusal(() => buffer[Symbol.dispose]()).code).toBe("EIO");
  expect(buffer.bytes[0]).toBe(7);
  expect(dma.mappings.length).toBe(1);
  buffer[Symbol.dispose]();
  expect(refusal(() => buffer.bytes).code).toBe("ECLOSED");
  expect(iommu.mapped.size).toBe(0);
});

test("a refusal of the IOMMU leaves no memory and no descriptor", () => {
  const before = descriptors();
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  iommu.failNext = new VfioError("no", { code: "ENOMEM" });
  expect(refusal(() => dma.allocate(page)).code).toBe("ENOMEM");
  expect(descriptors()).toBe(before);
  expect(dma.mappings).toEqual([]);
});

test("a buffer that outlives its mapping takes nothing away that came after it", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  using buffer = dma.allocate(page);
  dma.unmapAll();
  buffer.bytes[0] = 1;
  dma.map({ iova: buffer.iova, size: page, hva: 0x7f00_0000_0000 });
  buffer[Symbol.dispose]();
  expect(dma.mappings.length).toBe(1);
});
