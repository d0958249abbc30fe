import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RangeAllocator } from "../../../src/device/platforms/range-allocator.ts";
import { intersects, type Range } from "../../../src/device/address/range.ts";

describe("the window", () => {
  test("must end below 2^53", () => {
    expect(() => new RangeAllocator(Number.MAX_SAFE_INTEGER, 0x100)).toThrow(RangeError);
    expect(() => new RangeAllocator(0xffff_ffff_ffff_ff00n, 0x100)).toThrow(RangeError);
    expect(() => new RangeAllocator("0" as unknown as number, 0x100)).toThrow(TypeError);
  });

  test("must not be empty", () => {
    expect(() => new RangeAllocator(0x1000, 0)).toThrow("size of the address window must not be 0");
  });

  test("is known", () => {
    const { base, size } = new RangeAllocator(0x40_0000_0000n, 0x1000);
    expect([base, size]).toEqual([0x40_0000_0000, 0x1000]);
  });
});

describe("allocate", () => {
  test("refuses an alignment of 0", () => {
    expect(() => new RangeAllocator(0x1000, 0x10000).allocate(0x100, 0)).toThrow(
      "alignment must be a power of two, not 0",
    );
  });

  test("refuses an alignment that is no power of two", () => {
    const space = new RangeAllocator(0x1000, 0x10000);
    for (const bad of [200, 3, 1.5, -16]) expect(() => space.allocate(0x100, bad)).toThrow(RangeError);
    expect(() => space.allocate(0x100, "16" as unknown as number)).toThrow(TypeError);
    expect(space.taken()).toEqual([]);
  });

  test("refuses an empty range, and what is no size", () => {
    const space = new RangeAllocator(0x1000, 0x10000);
    for (const bad of [0, -1, 0.5, NaN, 2 ** 53]) expect(() => space.allocate(bad, 1)).toThrow(RangeError);
    expect(() => space.allocate(null as unknown as number, 1)).toThrow(TypeError);
  });

  test("says that there is not enough space", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.allocate(0x800, 0x100)).toBe(0x1800);
    expect(space.allocate(0x900, 0x100)).toBeUndefined();
    expect(space.allocate(0x800, 0x100)).toBe(0x1000);
    expect(space.allocate(1, 1)).toBeUndefined();
  });

  test("does not count room that the alignment makes useless", () => {
    const space = new RangeAllocator(0x1100, 0xf00);
    expect(space.allocate(0x800, 0x800)).toBe(0x1800);
    expect(space.allocate(0x400, 0x400)).toBe(0x1400);
    expect(space.allocate(0x300, 0x400)).toBeUndefined();
    expect(space.allocate(0x300, 0x100)).toBe(0x1100);
  });

  test("works from the top down, aligned", () => {
    const space = new RangeAllocator(0x1000, 0x10000);
    expect(space.allocate(0x110, 0x100)).toBe(0x10e00);
    expect(space.allocate(0x100, 0x100)).toBe(0x10d00);
    // The piece that the first alignment left over is the highest gap.
    expect(space.allocate(0x10, 0x10)).toBe(0x10ff0);
    expect(space.taken()).toEqual([
      { base: 0x10d00, size: 0x100 },
      { base: 0x10e00, size: 0x110 },
      { base: 0x10ff0, size: 0x10 },
    ]);
  });

  test("stays exact above 2^32, for BARs of a size to match", () => {
    const space = new RangeAllocator(2 ** 40, 2 ** 40);
    expect(space.allocate(2 ** 36, 2 ** 36)).toBe(2 ** 41 - 2 ** 36);
    expect(space.allocate(0x4000, 0x4000)).toBe(2 ** 41 - 2 ** 36 - 0x4000);
    expect(space.allocate(2 ** 40, 1)).toBeUndefined();
  });

  test("find takes nothing", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.find(0x100, 0x100)).toBe(0x1f00);
    expect(space.find(0x100, 0x100)).toBe(0x1f00);
    expect(space.taken()).toEqual([]);
  });
});

describe("reserve", () => {
  test("takes a range of one's choice, once", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
    expect(space.reserve(0x1a00, 0x100)).toBe(true);
    expect(space.reserve(0x1200, 0x800)).toBe(false);
    expect(space.taken()).toEqual([
      { base: 0x1200, size: 0x800 },
      { base: 0x1a00, size: 0x100 },
    ]);
  });

  test("asks for no alignment: a guest may put an I/O BAR anywhere", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1004, 4)).toBe(true);
    expect(space.allocate(0x1000 - 8, 4)).toBe(0x1008);
    expect(space.taken()).toEqual([
      { base: 0x1004, size: 4 },
      { base: 0x1008, size: 0xff8 },
    ]);
  });

  test("is false where part of the range is taken or outside", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
    for (const [base, size] of [
      [0x1100, 0x101],
      [0x19ff, 1],
      [0x1300, 0x10],
      [0x1000, 0x1000],
      [0xfff, 0x10],
      [0x1ff0, 0x11],
      [0x3000, 1],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ] as const)
      expect(space.reserve(base, size)).toBe(false);
    expect(space.taken()).toEqual([{ base: 0x1200, size: 0x800 }]);
    expect(space.reserve(0x1000, 0x200)).toBe(true);
    expect(space.reserve(0x1a00, 0x600)).toBe(true);
  });

  test("refuses what is no range", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(() => space.reserve(0x1000, 0)).toThrow(RangeError);
    expect(() => space.reserve(-1, 1)).toThrow(RangeError);
    expect(() => space.reserve(0x1000, "1" as unknown as number)).toThrow(TypeError);
  });
});

describe("free", () => {
  test("makes the range ready to be taken again", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
    space.free(0x1200, 0x800);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
  });

  test("of a range never taken fails and takes nothing away", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
    expect(() => space.free(0x1000, 0x800)).toThrow(
      "cannot free 0x800 bytes at 0x1000: no range taken starts there",
    );
    expect(() => space.free(0x1300, 0x100)).toThrow(RangeError);
    expect(space.reserve(0x1200, 0x800)).toBe(false);
  });

  test("of another size than was taken fails and takes nothing away", () => {
    const space = new RangeAllocator(0x1000, 0x1000);
    expect(space.reserve(0x1200, 0x800)).toBe(true);
    expect(() => space.free(0x1200, 0x100)).toThrow(
      "cannot free 0x100 bytes at 0x1200: the range taken there is 0x1200-0x19ff",
    );
    expect(space.reserve(0x1200, 0x100)).toBe(false);
    space.free(0x1200, 0x800);
    expect(() => space.free(0x1200, 0x800)).toThrow(RangeError);
    expect(space.taken()).toEqual([]);
  });
});

test("a bigint from JavaScript is the number that it is", () => {
  const allocator = new RangeAllocator(0x1000, 0x1000);
  const big = (value: number): number => BigInt(value) as unknown as number;
  expect(allocator.allocate(big(0x10), 0x10)).toBe(0x1ff0);
  expect(allocator.reserve(big(0x1000), big(0x20))).toBe(true);
  expect(allocator.taken()).toEqual([
    { base: 0x1000, size: 0x20 },
    { base: 0x1ff0, size: 0x10 },
  ]);
  allocator.free(big(0x1000), big(0x20));
  allocator.free(0x1ff0, 0x10);
  expect(allocator.taken()).toEqual([]);
});

test("agrees with a model that looks at every address", () => {
  const base = 0x38_0000_0000;
  const length = 48;
  const at = fc.integer({ min: -2, max: length + 2 });
  const size = fc.integer({ min: 1, max: 20 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("allocate" as const), size, alignment: fc.constantFrom(1, 2, 4, 8, 16) }),
    fc.record({ kind: fc.constant("reserve" as const), at, size }),
    fc.record({ kind: fc.constant("free" as const), at, size }),
    fc.record({ kind: fc.constant("free-taken" as const), which: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const space = new RangeAllocator(base, length);
      const model: Range[] = [];
      const fits = (range: Range) =>
        range.base >= base &&
        range.base + range.size <= base + length &&
        !model.some((one) => intersects(one, range));
      const drop = (range: Range) => {
        const index = model.findIndex((one) => one.base === range.base && one.size === range.size);
        if (index < 0) expect(() => space.free(range.base, range.size)).toThrow(RangeError);
        else {
          model.splice(index, 1);
          space.free(range.base, range.size);
        }
      };
      for (const one of steps) {
        if (one.kind === "allocate") {
          let expected: number | undefined;
          for (let address = base; address < base + length; address++)
            if (address % one.alignment === 0 && fits({ base: address, size: one.size })) expected = address;
          expect(space.allocate(one.size, one.alignment)).toBe(expected);
          if (expected !== undefined) model.push({ base: expected, size: one.size });
        } else if (one.kind === "reserve") {
          const range = { base: base + one.at, size: one.size };
          const expected = fits(range);
          expect(space.isFree(range.base, range.size)).toBe(expected);
          expect(space.reserve(range.base, range.size)).toBe(expected);
          if (expected) model.push(range);
        } else if (one.kind === "free") drop({ base: base + one.at, size: one.size });
        else if (model.length > 0) drop(model[one.which % model.length]!);
        expect(space.taken()).toEqual([...model].sort((a, b) => a.base - b.base));
      }
    }),
    { numRuns: 300 },
  );
});
