import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  alignDown,
  alignUp,
  contains,
  formatRange,
  intersects,
  isAligned,
  isPowerOfTwo,
  type Range,
  rangeEnd,
  subtract,
  toAddress,
  toRange,
} from "../../../src/device/address/range.ts";

const max = Number.MAX_SAFE_INTEGER;

describe("toAddress", () => {
  test("takes numbers and bigints below 2^53", () => {
    expect(toAddress(0)).toBe(0);
    expect(Object.is(toAddress(-0), 0)).toBe(true);
    expect(toAddress(max)).toBe(max);
    expect(toAddress(BigInt(max))).toBe(max);
    expect(toAddress(0x38_0000_0000n)).toBe(0x38_0000_0000);
  });

  test("refuses other values with a RangeError that names them", () => {
    for (const bad of [-1, 1.5, NaN, Infinity, -Infinity, 2 ** 53, -1n, 2n ** 53n, 2n ** 64n])
      expect(() => toAddress(bad, "gpa")).toThrow(RangeError);
    expect(() => toAddress(2n ** 64n, "gpa")).toThrow(
      "gpa must be an integer from 0 to 2^53 - 1, not 18446744073709551616",
    );
  });

  test("refuses other types with a TypeError", () => {
    for (const bad of ["0", undefined, null, {}, true])
      expect(() => toAddress(bad as unknown as number)).toThrow(TypeError);
    expect(() => toAddress(null as unknown as number, "iova")).toThrow(
      "iova must be a number or a bigint, not null",
    );
  });
});

describe("ranges", () => {
  test("end below 2^53, where sums are exact", () => {
    expect(rangeEnd({ base: max - 0x1000, size: 0x1000 })).toBe(max);
    expect(() => rangeEnd({ base: max - 0x1000, size: 0x1001 })).toThrow(RangeError);
    expect(() => rangeEnd({ base: max, size: max })).toThrow(RangeError);
    expect(toRange(0x1000n, 0x2000)).toEqual({ base: 0x1000, size: 0x2000 });
    expect(() => toRange(max, 1, "window")).toThrow(RangeError);
    expect(() => toRange(-1, 1, "window")).toThrow("base of the window");
  });

  test("print with their last byte", () => {
    expect(formatRange({ base: 0xfebf0000, size: 0x4000 })).toBe("0xfebf0000-0xfebf3fff");
    expect(formatRange({ base: 0x10, size: 0 })).toBe("0x10+0");
  });

  test("contain an access only where they hold all of it", () => {
    const range = { base: 0x38_0000_0000, size: 0x1000 };
    expect(contains(range, 0x38_0000_0000, 4)).toBe(true);
    expect(contains(range, 0x38_0000_0ffc, 4)).toBe(true);
    expect(contains(range, 0x38_0000_0ffd, 4)).toBe(false);
    expect(contains(range, 0x37_ffff_fffe, 4)).toBe(false);
    expect(contains(range, 0x38_0000_1000, 0)).toBe(false);
    expect(contains({ base: 0, size: 16 }, 0, 17)).toBe(false);
    // The same low 32 bits, another address.
    expect(contains(range, 0, 4)).toBe(false);
  });

  test("intersect where an address is in both", () => {
    const a = { base: 0x1000, size: 0x1000 };
    expect(intersects(a, { base: 0x1fff, size: 1 })).toBe(true);
    expect(intersects(a, { base: 0x2000, size: 1 })).toBe(false);
    expect(intersects(a, { base: 0, size: 0x1000 })).toBe(false);
    expect(intersects(a, { base: 0, size: 0x1001 })).toBe(true);
    expect(intersects(a, { base: 0x1800, size: 0 })).toBe(false);
    expect(intersects({ base: 0, size: max }, a)).toBe(true);
  });
});

describe("alignment", () => {
  test("knows every power of two, and nothing else as one", () => {
    for (let bit = 0; bit <= 52; bit++) {
      expect(isPowerOfTwo(2 ** bit)).toBe(true);
      if (bit > 1) expect(isPowerOfTwo(2 ** bit - 1)).toBe(false);
      if (bit > 0) expect(isPowerOfTwo(2 ** bit + 1)).toBe(false);
    }
    for (const bad of [0, -1, -2, 0.5, 3, 2 ** 32 + 2 ** 31, 2 ** 53, NaN, Infinity])
      expect(isPowerOfTwo(bad)).toBe(false);
  });

  test("rounds above 2^32 without losing bits", () => {
    expect(alignDown(0x38_1234_5678, 0x1000)).toBe(0x38_1234_5000);
    expect(alignUp(0x38_1234_5678, 0x1000)).toBe(0x38_1234_6000);
    expect(alignUp(0x38_1234_5000, 0x1000)).toBe(0x38_1234_5000);
    expect(alignDown(0x38_1234_5678, 2 ** 36)).toBe(0x30_0000_0000);
    expect(isAligned(0x38_0000_0000, 2 ** 35)).toBe(true);
    expect(isAligned(0x38_0000_0000, 2 ** 36)).toBe(false);
  });

  test("refuses what is no power of two, and a result above 2^53", () => {
    for (const bad of [0, 3, -4096, 1.5]) {
      expect(() => alignDown(1, bad)).toThrow(RangeError);
      expect(() => alignUp(1, bad)).toThrow(RangeError);
      expect(() => isAligned(1, bad)).toThrow(RangeError);
    }
    expect(() => alignUp(max, 2)).toThrow(RangeError);
  });
});

describe("subtract", () => {
  test("leaves what no hole covers, in order", () => {
    const range = { base: 0x1000, size: 0x4000 };
    expect(subtract(range, [])).toEqual([range]);
    expect(subtract(range, [range])).toEqual([]);
    expect(
      subtract(range, [
        { base: 0x4000, size: 0x1000 },
        { base: 0x2000, size: 0x800 },
        { base: 0x2400, size: 0x800 },
        { base: 0x3800, size: 0 },
        { base: 0x9000, size: 0x1000 },
      ]),
    ).toEqual([
      { base: 0x1000, size: 0x1000 },
      { base: 0x2c00, size: 0x1400 },
    ]);
    expect(subtract({ base: 5, size: 0 }, [])).toEqual([]);
  });

  test("agrees with a list of bytes", () => {
    const small: fc.Arbitrary<Range> = fc.record({ base: fc.nat(40), size: fc.nat(20) });
    fc.assert(
      fc.property(small, fc.array(small, { maxLength: 6 }), (range, holes) => {
        const inside = (list: readonly Range[], at: number) => list.some((one) => contains(one, at));
        const left = subtract(range, holes);
        for (let at = 0; at < 64; at++)
          expect(inside(left, at)).toBe(contains(range, at) && !inside(holes, at));
        for (const [i, one] of left.entries()) {
          expect(one.size).toBeGreaterThan(0);
          // In order, and two that touch would be one.
          if (i > 0) expect(one.base).toBeGreaterThan(rangeEnd(left[i - 1]!));
        }
      }),
      { numRuns: 500 },
    );
  });
});
