import { describe, expect, test } from "bun:test";
import {
  alias,
  array,
  big,
  bitArray,
  composed,
  joined,
  joinedBig,
  r16,
  r32,
  r64,
  r8,
  registerMap,
  reset,
  ro,
  rw,
  scaled,
  wo,
  type Entries,
} from "../../src/regs/index.ts";

/** The message of the RangeError that a map is refused with. */
function refusal(entries: Entries, size = 16): string {
  try {
    registerMap("map", size, entries);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
  return "";
}

describe("a map is checked when it is made:", () => {
  const wrong: readonly [what: string, message: string, entries: () => Entries][] = [
    ["a register past the end", "map.it lies outside of the map's 16 bytes", () => ({ it: r32(16, "rw") })],
    ["alignment", "map.it at byte 2 is not aligned to 4 bytes", () => ({ it: r32(2, "rw") })],
    ["alignment of 64 bits", "map.it at byte 2 is not aligned to 4 bytes", () => ({ it: r64(2, "rw") })],
    [
      "registers that overlap",
      "map.high overlaps map.it: say alias(...) where that is meant",
      () => ({ it: r32(0, "rw"), high: r16(2, "rw") }),
    ],
    [
      "a small register inside of a large one, after another",
      "map.c overlaps map.a: say alias(...) where that is meant",
      () => ({ a: r64(0, "rw"), b: alias("a", r8(0, "rw")), c: r8(7, "rw") }),
    ],
    [
      "an alias of nothing",
      'map.it is an alias of "at", which is no other register',
      () => ({ it: alias("at", r32(0, "rw")) }),
    ],
    [
      "an alias at another place that is not as wide",
      'map.it is an alias of "at" at another place, but not as wide',
      () => ({ at: r32(0, "rw"), it: alias("at", r16(4, "rw")) }),
    ],
    [
      "elements of a table that reach into a register",
      "map.it overlaps map.table[1]: say alias(...) where that is meant",
      () => ({ table: array(2, 4, r32(0, "rw")), it: r8(4, "rw") }),
    ],
    ["a table past the end", "map.table[4] lies outside", () => ({ table: array(5, 4, r32(0, "rw")) })],
    ["bits past the end", "map.bits[4] lies outside", () => ({ bits: bitArray(0, 129, "rw") })],
    [
      "fields past their register",
      "map.it.a: bits 8:8 do not lie in 8 bits",
      () => ({ it: r8(0, { a: ro(8) }) }),
    ],
    ["fields upside down", "map.it.a: bits 0:3 do not lie", () => ({ it: r8(0, { a: ro(0, 3) }) })],
    [
      "fields that overlap",
      "map.it.b overlaps another field",
      () => ({ it: r8(0, { a: ro(3, 1), b: rw(2) }) }),
    ],
    [
      "a name for a value that the bits cannot hold",
      'map.it.a: "four" is 4, which 2 bits cannot hold',
      () => ({ it: r8(0, { a: rw(1, 0, { four: 4 }) }) }),
    ],
    [
      "more names than values",
      'map.it.a: "c" is 2, which 1 bits cannot hold',
      () => ({ it: r8(0, { a: rw(1, 1, ["a", "b", "c"]) }) }),
    ],
    [
      "two names for one value",
      'map.it.a: "y" and "x" are the same value',
      () => ({ it: r8(0, { a: rw(1, 0, { x: 1, y: 1 }) }) }),
    ],
    [
      "a name that reads like none",
      'map.it.a: "reserved(3)" is how values without a name read',
      () => ({ it: r8(0, { a: rw(1, 0, { "reserved(3)": 3 }) }) }),
    ],
    [
      "more bits than a number holds",
      "map.it.a has 54 bits: its value is a bigint",
      () => ({ it: r64(0, { a: rw(53, 0) }) }),
    ],
    [
      "a scale that goes beyond a number",
      "map.it.a can go beyond 2^53: its value is a bigint",
      () => ({ it: r64(0, { a: scaled(rw(63, 12), 4096) }) }),
    ],
    [
      "a reset value past the register",
      "map.it: the reset value 256 does not fit 8 bits",
      () => ({ it: reset(256, r8(0, "rw")) }),
    ],
    [
      "a reset value past the field",
      '"map.it.a" must be an integer from 0 to 3, not 4',
      () => ({ it: r8(0, { a: reset(4, rw(1, 0)) }) }),
    ],
    [
      "two reset values",
      "map.it.a has two values after a reset",
      () => ({ it: reset(1, r8(0, { a: reset(2, rw(1, 0)) })) }),
    ],
    [
      "one name for two things",
      "map.itSelf would be two things",
      () => ({ it: r8(0, { self: ro(4) }), itSelf: r8(1, "rw") }),
    ],
    ["a name of the accessors", "map.fields is the accessors' own name", () => ({ fields: r8(0, "rw") })],
    ["a field called raw", "map.it.raw is the accessors' own name", () => ({ it: r8(0, { raw: rw(0) }) })],
    ["a name that is no name", "map.a.b is no name", () => ({ "a.b": r8(0, "rw") })],
    [
      "a joined value of nothing",
      'map.whole is made of "it.b", which is nothing of its map',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it.b"]) }),
    ],
    [
      "a joined value of a register with fields",
      'map.whole is made of "it", which has fields',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it"]) }),
    ],
    [
      "a joined number of 64 bits",
      "map.whole has 64 bits, which its type cannot hold: say joinedBig",
      () => ({ a: r32(0, "rw"), b: r32(4, "rw"), whole: joined(["a", "b"]) }),
    ],
    [
      "a joined value of more than 64 bits",
      "map.whole has 96 bits, which its type cannot hold",
      () => ({ a: r64(0, "rw"), b: r32(8, "rw"), whole: joinedBig(["b", "a"]) }),
    ],
    [
      "a composed value of nothing",
      'map.it is made of "toString"',
      () => ({ it: composed(["toString"], () => 1) }),
    ],
    [
      "an inherited name as a field",
      'map.whole is made of "it.constructor"',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it.constructor"]) }),
    ],
  ];
  for (const [what, message, entries] of wrong)
    test(what, () => expect(refusal(entries())).toContain(message));

  test("a table of no elements, or of overlapping ones, is refused where it is described", () => {
    expect(() => array(0, 4, r32(0, "rw"))).toThrow("an array must have 1 element or more, not 0");
    expect(() => array(2, 4, { a: r32(0, "rw"), b: r32(4, "rw") })).toThrow(
      "a stride of that or more, not 4",
    );
    expect(() => bitArray(0, 1.5, "rw")).toThrow(RangeError);
  });

  test("what is meant is taken", () => {
    expect(
      refusal({
        receive: r8(0, "rc"),
        transmit: alias("receive", r8(0, "wo")),
        low: r32(4, "rw"),
        high: r32(8, "rw"),
        both: alias("low", r64(4, "rw")),
        again: alias("low", r32(12, "rw")),
        wide: big(rw(3, 0)) && r8(1, { a: rw(1, 0, ["a", "b"]) }),
      }),
    ).toBe("");
    expect(refusal({ it: r64(0, { a: big(scaled(rw(63, 12), 4096)), b: wo(11, 0) }) })).toBe("");
  });
});

test("a map's size is a number of bytes", () => {
  for (const size of [0, -4, 4.5, NaN])
    expect(() => registerMap("map", size, {})).toThrow(`map must have a size of 1 byte or more, not ${size}`);
});

test("a table that is far too long is refused at once", () => {
  expect(refusal({ it: array(1e9, 4, r32(0, "rw")) })).toBe("map.it[4] lies outside of the map's 16 bytes");
  expect(refusal({ it: bitArray(0, 2 ** 40, "rw") })).toBe("map.it[4] lies outside of the map's 16 bytes");
});

test("names that every object has, or that make a promise of it, are refused", () => {
  for (const name of ["constructor", "toString", "then"])
    expect(refusal({ [name]: r32(0, "rw") })).toBe(`map.${name} is the accessors' own name`);
});
