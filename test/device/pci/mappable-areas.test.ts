import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { RegionArea, RegionInfo } from "../../../src/regs/vfio/regions.ts";
import { mappableAreas } from "../../../src/device/pci/mappable-areas.ts";

const region = (size: number, more: Partial<RegionInfo> = {}): RegionInfo => ({
  index: 0,
  size,
  readable: true,
  writable: true,
  mappable: true,
  msixMappable: true,
  ...more,
});
const area = (offset: number, size: number): RegionArea => ({ offset, size });

describe("mappable areas", () => {
  test("a whole region without holes is one area", () => {
    expect(mappableAreas(region(0x4000), [], 4096)).toEqual([area(0, 0x4000)]);
  });
  test("a sub-page BAR with a hole, of parts, or of no bytes, has none", () => {
    expect(mappableAreas(region(256), [area(16, 16)], 4096)).toEqual([]);
    expect(mappableAreas(region(256, { sparse: [area(0, 256)] }), [], 4096)).toEqual([]);
    expect(mappableAreas(region(0), [], 4096)).toEqual([]);
  });
  test("a region that the host does not map has none", () => {
    expect(mappableAreas(region(0x4000, { mappable: false }), [], 4096)).toEqual([]);
  });
  test("defect 27: a sub-page BAR is its page, and says nothing about any other BAR", () => {
    expect(mappableAreas(region(256), [], 4096)).toEqual([area(0, 0x1000)]);
    expect(mappableAreas(region(256, { mappable: false }), [], 4096)).toEqual([]);
    expect(mappableAreas(region(0x1000), [], 0x10000)).toEqual([area(0, 0x10000)]);
    expect(mappableAreas(region(0x10000), [], 4096)).toEqual([area(0, 0x10000)]);
  });
  test("defect 29: a table that ends in the next page closes both pages", () => {
    // 2 entries at 0xff0: offset and length rounded apart would leave page 1 mapped.
    expect(mappableAreas(region(0x4000), [area(0xff0, 32)], 4096)).toEqual([area(0x2000, 0x2000)]);
    expect(mappableAreas(region(0x4000), [area(0x1ff8, 16)], 4096)).toEqual([
      area(0, 0x1000),
      area(0x3000, 0x1000),
    ]);
  });
  test("defect 29: table and PBA in one page do not hide each other", () => {
    // PBA at 0, a table of 1024 entries at 0x800.
    const areas = mappableAreas(region(0x10000), [area(0x800, 1024 * 16), area(0, 128)], 4096);
    expect(areas).toEqual([area(0x5000, 0xb000)]);
  });
  test("defect 30: sparse areas are mapped without MSIX_MAPPABLE, carved, clamped and merged", () => {
    const sparse = [
      area(0x8000, 0x9000),
      area(0, 0x2000),
      area(0x1000, 0x2000),
      area(0x20000, 0x1000),
      area(0x7000, 0),
    ];
    const info = region(0x10000, { sparse, msixMappable: false });
    expect(mappableAreas(info, [area(0x9000, 64)], 4096)).toEqual([
      area(0, 0x3000),
      area(0x8000, 0x1000),
      area(0xa000, 0x6000),
    ]);
  });
  test("defect 33: holes are host pages, of 4, 16 or 64 KiB", () => {
    const hole = [area(0x5200, 0x200)];
    expect(mappableAreas(region(0x20000), hole, 0x4000)).toEqual([area(0, 0x4000), area(0x8000, 0x18000)]);
    expect(mappableAreas(region(0x20000), hole, 0x10000)).toEqual([area(0x10000, 0x10000)]);
    expect(mappableAreas(region(0x8000), hole, 0x10000)).toEqual([]);
  });
  test("any input: areas are page-aligned, sorted, disjoint, inside the region, and touch no page of a hole", () => {
    const any = fc.record({ offset: fc.nat(0x40000), size: fc.nat(0x20000) });
    const pages = fc.constantFrom(0x1000, 0x4000, 0x10000);
    fc.assert(
      fc.property(
        fc.nat(0x40000),
        fc.option(fc.array(any), { nil: undefined }),
        fc.array(any),
        pages,
        (size, sparse, holes, page) => {
          let end = 0;
          for (const { offset, size: length } of mappableAreas(region(size, { sparse }), holes, page)) {
            expect([offset % page, length % page]).toEqual([0, 0]);
            expect(length).toBeGreaterThan(0);
            expect(offset).toBeGreaterThanOrEqual(end);
            end = offset + length;
            expect(end).toBeLessThanOrEqual(sparse || size >= page ? size : page);
            for (const hole of holes)
              expect(hole.size > 0 && hole.offset < end && offset < hole.offset + hole.size).toBe(false);
            if (sparse)
              for (let at = offset; at < end; at += page)
                expect(sparse.some((one) => one.offset <= at && at + page <= one.offset + one.size)).toBe(
                  true,
                );
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
