import { describe, expect, test } from "bun:test";
import type { RegionInfo } from "../../../src/regs/vfio/regions.ts";
import {
  addressMask,
  barAddress,
  barsOf,
  setBarAddress,
  typeBits,
  type Bar,
} from "../../../src/device/pci/bars.ts";

const regions = (sizes: Record<number, number>): RegionInfo[] =>
  Array.from({ length: 9 }, (_, index) => ({
    index,
    size: sizes[index] ?? 0,
    readable: true,
    writable: true,
    mappable: false,
    msixMappable: false,
  }));
const header = (lows: Record<number, number>): Uint8Array => {
  const config = new Uint8Array(256);
  const view = new DataView(config.buffer);
  for (const [index, low] of Object.entries(lows)) view.setUint32(0x10 + 4 * Number(index), low, true);
  return config;
};
const one = (low: number, size: number): Bar => barsOf(header({ 0: low }), regions({ 0: size })).bars[0]!;

describe("BARs from region sizes and type bits", () => {
  test("I/O, 32-bit, 64-bit prefetchable and ROM", () => {
    const { bars, problems } = barsOf(
      header({ 0: 0x1, 1: 0x0, 2: 0xc }),
      regions({ 0: 0x20, 1: 0x1000, 2: 2 ** 33, 6: 0x8000 }),
    );
    expect(bars.map(({ kind, prefetchable, size }) => [kind, prefetchable, size])).toEqual([
      ["io", false, 0x20],
      ["memory32", false, 0x1000],
      ["memory64", true, 2 ** 33],
      ["rom", false, 0x8000],
    ]);
    expect(problems).toEqual([]);
  });
  test("defect 14: an I/O BAR whose upper half is hard-wired has the size that its region has", () => {
    expect(one(0x1, 0x20).size).toBe(0x20);
    expect(addressMask(one(0x1, 0x20)).low).toBe(0xffffffe0);
  });
  test("defect 15: the ROM has no prefetchable bit, and its own minimum of 2 KiB", () => {
    const rom = barsOf(header({}), regions({ 6: 0x200 })).bars[0]!;
    expect(rom).toMatchObject({ kind: "rom", prefetchable: false, size: 2048, physicalSize: 0x200 });
    expect(typeBits(rom)).toBe(0);
  });
  test("defect 16: a 64-bit BAR in the last slot is a problem, not a write past the BARs", () => {
    const { bars, problems } = barsOf(header({ 5: 0x4 }), regions({ 5: 0x1000 }));
    expect(bars).toEqual([]);
    expect(problems[0]).toContain("BAR5");
  });
  test("defect 20: the upper half of a 64-bit BAR is never a BAR of its own", () => {
    const { bars } = barsOf(header({ 0: 0x4, 1: 0x1 }), regions({ 0: 0x1000, 1: 0x1000 }));
    expect(bars.map(({ region }) => region)).toEqual([0]);
  });
  test("a region that is not a power of two is rounded up", () => {
    expect(one(0, 0x3000)).toMatchObject({ size: 0x4000, physicalSize: 0x3000 });
  });
  test("rounding up is exact where a logarithm is not", () => {
    expect(one(0x4, 2 ** 51 + 1).size).toBe(2 ** 52);
    expect(one(0x4, 2 ** 52).size).toBe(2 ** 52);
    expect(one(0x4, 2 ** 51 - 1).size).toBe(2 ** 51);
  });
  test("a size that the register cannot express is a problem", () => {
    expect(barsOf(header({ 0: 0 }), regions({ 0: 2 ** 32 })).problems[0]).toContain("BAR0");
  });
  test("defect 21: any probe value reads back as the size, for sizes on both sides of 4 GiB", () => {
    for (const log of [4, 12, 31, 32, 33, 40, 51]) {
      const { low, high } = addressMask(one(0x4, 2 ** log));
      const mask = BigInt.asUintN(64, -(1n << BigInt(log)));
      expect([low, high]).toEqual([Number(mask & 0xffffffffn), Number(mask >> 32n)]);
    }
  });
  test("addresses go in and come out exactly, with the type bits", () => {
    const view = new DataView(new ArrayBuffer(64));
    const wide = one(0xc, 0x4000);
    setBarAddress(wide, view, 0x12_3456_4000);
    expect(view.getUint32(0x10, true)).toBe(0x3456400c);
    expect(barAddress(wide, view)).toBe(0x12_3456_4000);
    view.setUint32(0x14, 0xffffffff, true);
    expect(barAddress(wide, view)).toBeUndefined();
  });
});
