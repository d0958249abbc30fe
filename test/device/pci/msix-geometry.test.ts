import { describe, expect, test } from "bun:test";
import type { RegionInfo } from "../../../src/regs/vfio/regions.ts";
import { pendingProblem, tableProblem, type MsixGeometry } from "../../../src/device/pci/msix-geometry.ts";

const regions = (...sizes: number[]): RegionInfo[] =>
  sizes.map((size, index) => ({
    index,
    size,
    readable: true,
    writable: true,
    mappable: true,
    msixMappable: true,
  }));
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
    expect(tableProblem(geometry(16, [0, 0x4000], [0, 0]), regions(0x4000))).toContain("table at 0x4000");
    expect(tableProblem(geometry(16, [6, 0], [0, 0]), regions(0x4000))).toContain("holds 0x6, whose BIR 6");
    expect(pendingProblem(geometry(16, [0, 0], [3, 0]), regions(0x4000))).toContain("BAR3");
    expect(pendingProblem(geometry(16, [0, 0], [0, 0x80]), regions(0x4000))).toContain("overlap");
    const good = geometry(16, [0, 0x2000], [0, 0x3000]);
    expect(tableProblem(good, regions(0x4000))).toBeUndefined();
    expect(pendingProblem(good, regions(0x4000))).toBeUndefined();
  });
});
