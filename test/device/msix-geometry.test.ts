import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { RegionInfo } from "../../src/device/backend.ts";
import type { Bar } from "../../src/device/bars.ts";
import { geometryProblem, relocate, type MsixGeometry } from "../../src/device/msix-geometry.ts";

const regions = (...sizes: number[]): RegionInfo[] =>
  sizes.map((size, index) => ({
    index,
    size,
    readable: true,
    writable: true,
    mappable: true,
    msixMappable: true,
  }));
const bar = (region: number, size: number, kind: Bar["kind"] = "memory64"): Bar => ({
  region,
  register: 0x10 + 4 * region,
  kind,
  prefetchable: false,
  physicalSize: size,
  size,
});
const geometry = (vectors: number, table: [number, number], pba: [number, number]): MsixGeometry => ({
  vectors,
  table: { region: table[0], offset: table[1], size: vectors * 16 },
  pba: { region: pba[0], offset: pba[1], size: Math.ceil(vectors / 64) * 8 },
});

describe("MSI-X geometry", () => {
  test("the PBA of 64 vectors takes one qword, not two", () => {
    expect(geometry(64, [0, 0], [0, 0x1000]).pba.size).toBe(8);
  });
  test("a table or PBA that the BARs do not hold is refused with its place", () => {
    expect(geometryProblem(geometry(16, [0, 0x4000], [0, 0]), regions(0x4000))).toContain("table at 0x4000");
    expect(geometryProblem(geometry(16, [6, 0], [0, 0]), regions(0x4000))).toContain("BAR6");
    expect(geometryProblem(geometry(16, [0, 0], [3, 0]), regions(0x4000))).toContain("BAR3");
    expect(geometryProblem(geometry(16, [0, 0], [0, 0x80]), regions(0x4000))).toContain("overlap");
    expect(geometryProblem(geometry(16, [0, 0x2000], [0, 0x3000]), regions(0x4000))).toBeUndefined();
  });
});

describe("MSI-X relocation", () => {
  test("page-aligned table and PBA stay where they are", () => {
    expect(
      relocate(geometry(65, [0, 0x2000], [0, 0x3000]), [bar(0, 0x4000)], regions(0x4000), 4096),
    ).toBeUndefined();
  });
  test("a PBA in the table's own page, behind it, does not grow the BAR", () => {
    expect(
      relocate(geometry(16, [0, 0x3000], [0, 0x3800]), [bar(0, 0x4000)], regions(0x4000), 4096),
    ).toBeUndefined();
    expect(
      relocate(geometry(2, [0, 0], [0, 0x800]), [bar(0, 0x1000)], regions(0x1000), 4096),
    ).toBeUndefined();
  });
  test("a page-aligned table moves with a PBA that shares another page", () => {
    expect(
      relocate(geometry(16, [0, 0x2000], [0, 0x3800]), [bar(0, 0x4000)], regions(0x4000), 4096)?.size,
    ).toBe(0x8000);
  });
  test("defect 28: a 64 KiB BAR with table at 0x5200 and PBA at 0xd600 doubles; both move together", () => {
    const physical = geometry(32, [0, 0x5200], [0, 0xd600]);
    expect(relocate(physical, [bar(0, 0x10000)], regions(0x10000), 4096)).toEqual({
      region: 0,
      size: 0x20000,
      guest: {
        vectors: 32,
        table: { region: 0, offset: 0x10000, size: 512 },
        pba: { region: 0, offset: 0x11000, size: 8 },
      },
    });
    // The device's own offsets are another value, and unchanged.
    expect(physical.table.offset).toBe(0x5200);
  });
  test("defect 31: a BAR of 4 GiB or more is not doubled: the table offset register has 32 bits", () => {
    const physical = geometry(32, [0, 0x5200], [0, 0xd600]);
    expect(relocate(physical, [bar(0, 2 ** 32)], regions(2 ** 32), 4096)).toBeUndefined();
    expect(relocate(physical, [bar(0, 2 ** 36)], regions(2 ** 36), 4096)).toBeUndefined();
    expect(relocate(physical, [bar(0, 2 ** 31)], regions(2 ** 31), 4096)?.guest.table.offset).toBe(2 ** 31);
  });
  test("defect 32: a PBA in another BAR, or before the table, moves with the table", () => {
    const bars = [bar(0, 0x4000), bar(2, 0x1000)];
    const other = relocate(geometry(8, [0, 0x800], [2, 0x10]), bars, regions(0x4000, 0, 0x1000), 4096);
    expect(other?.guest.pba).toEqual({ region: 0, offset: 0x5000, size: 8 });
    const before = relocate(geometry(8, [0, 0x900], [0, 0x800]), bars, regions(0x4000, 0, 0x1000), 4096);
    expect(before?.guest.table.offset).toBe(0x4000);
    expect(before?.guest.pba.offset).toBe(0x5000);
  });
  test("defect 32: 32-bit BARs are relocated too, and every grown size is a power of two", () => {
    const grown = relocate(
      geometry(2048, [0, 0x10], [0, 0x8800]),
      [bar(0, 0x1000, "memory32")],
      regions(0x10000),
      4096,
    );
    expect(grown?.size).toBe(0x20000);
  });
  test("nothing is gained where the host cannot map the table's page", () => {
    const info = regions(0x10000).map((region) => ({ ...region, msixMappable: false }));
    expect(relocate(geometry(32, [0, 0x5200], [0, 0xd600]), [bar(0, 0x10000)], info, 4096)).toBeUndefined();
  });
  test("any geometry: the grown BAR is a power of two, holds both, keeps the device's half free of them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2048 }),
        fc.nat(0x2000),
        fc.nat(0x2000),
        fc.integer({ min: 4, max: 40 }),
        fc.constantFrom(0x1000, 0x4000, 0x10000),
        fc.constantFrom("memory32" as const, "memory64" as const),
        (vectors, table, pba, log, page, kind) => {
          const size = 2 ** log;
          const result = relocate(
            geometry(vectors, [0, table * 8], [0, pba * 8]),
            [bar(0, size, kind)],
            regions(size),
            page,
          );
          if (!result) return;
          const { guest } = result;
          expect(Math.log2(result.size) % 1).toBe(0);
          expect(guest.table.offset).toBeGreaterThanOrEqual(size);
          expect(guest.table.offset % page).toBe(0);
          expect(guest.pba.offset % page).toBe(0);
          expect(guest.table.offset + guest.table.size).toBeLessThanOrEqual(guest.pba.offset);
          expect(guest.pba.offset + guest.pba.size).toBeLessThanOrEqual(Math.min(result.size, 2 ** 32));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
