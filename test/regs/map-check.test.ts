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
  type RegisterBlock,
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
    [
      "a register past the end",
      '"map.it" must lie within the map\'s 16 bytes, not at byte 16',
      () => ({ it: r32(16, "rw") }),
    ],
    ["alignment", '"map.it" must be aligned to 4 bytes, not at byte 2', () => ({ it: r32(2, "rw") })],
    [
      "alignment of 64 bits",
      '"map.it" must be aligned to 4 bytes, not at byte 2',
      () => ({ it: r64(2, "rw") }),
    ],
    [
      "registers that overlap",
      '"map.high" must have bytes of its own, not those of "map.it": say alias(...) where that is meant',
      () => ({ it: r32(0, "rw"), high: r16(2, "rw") }),
    ],
    [
      "a small register inside of a large one, after another",
      '"map.c" must have bytes of its own, not those of "map.a": say alias(...)',
      () => ({ a: r64(0, "rw"), b: alias("a", r8(0, "rw")), c: r8(7, "rw") }),
    ],
    [
      "an alias of nothing",
      '"map.it" must be an alias of another register, not of "at"',
      () => ({ it: alias("at", r32(0, "rw")) }),
    ],
    [
      "an alias at another place that is not as wide",
      '"map.it" must have the 32 bits of "map.at", whose alias at another place it is, not 16',
      () => ({ at: r32(0, "rw"), it: alias("at", r16(4, "rw")) }),
    ],
    [
      "elements of a table that reach into a register",
      '"map.it" must have bytes of its own, not those of "map.table[1]"',
      () => ({ table: array(2, 4, r32(0, "rw")), it: r8(4, "rw") }),
    ],
    [
      "a table past the end",
      '"map.table[4]" must lie within the map\'s 16 bytes',
      () => ({ table: array(5, 4, r32(0, "rw")) }),
    ],
    [
      "bits past the end",
      '"map.bits[4]" must lie within the map\'s 16 bytes',
      () => ({ bits: bitArray(0, 129, "rw") }),
    ],
    [
      "fields past their register",
      '"map.it.a" must have bits of its register\'s 8, high to low, not bit 8',
      () => ({ it: r8(0, { a: ro(8) }) }),
    ],
    [
      "fields upside down",
      '"map.it.a" must have bits of its register\'s 8, high to low, not bits 0:3',
      () => ({ it: r8(0, { a: ro(0, 3) }) }),
    ],
    [
      "fields that overlap",
      '"map.it.b" must have bits of its own, not bit 2: "a" has them',
      () => ({ it: r8(0, { a: ro(3, 1), b: rw(2) }) }),
    ],
    [
      "a name for a value that the bits cannot hold",
      '"map.it.a" must have values of 2 bits, 0 to 3, not 4, which is "four"',
      () => ({ it: r8(0, { a: rw(1, 0, { four: 4 }) }) }),
    ],
    [
      "more names than values",
      '"map.it.a" must have values of 1 bits, 0 to 1, not 2, which is "c"',
      () => ({ it: r8(0, { a: rw(1, 1, ["a", "b", "c"]) }) }),
    ],
    [
      "two names for one value",
      '"map.it.a" must have one name for 1, not "x" and "y"',
      () => ({ it: r8(0, { a: rw(1, 0, { x: 1, y: 1 }) }) }),
    ],
    [
      "a name that reads like none",
      '"map.it.a" must have another name, not "reserved(3)": values without one read so',
      () => ({ it: r8(0, { a: rw(1, 0, { "reserved(3)": 3 }) }) }),
    ],
    [
      "more bits than a number holds",
      '"map.it.a" must have 53 bits at most to be a number, not 54: say big(...)',
      () => ({ it: r64(0, { a: rw(53, 0) }) }),
    ],
    [
      "a scale that goes beyond a number",
      '"map.it.a" must be below 2^53 as a number, not up to 18446744073709548000: say big(...)',
      () => ({ it: r64(0, { a: scaled(rw(63, 12), 4096) }) }),
    ],
    [
      "a reset value past the register",
      '"map.it" must have an integer of 8 bits as its reset value, not 256',
      () => ({ it: reset(256, r8(0, "rw")) }),
    ],
    [
      "a reset value past the field",
      '"map.it.a" must be an integer from 0 to 3, not 4',
      () => ({ it: r8(0, { a: reset(4, rw(1, 0)) }) }),
    ],
    [
      "two reset values",
      '"map.it.a" must have the value that its register\'s reset value 0x1 gives it, not 2',
      () => ({ it: reset(1, r8(0, { a: reset(2, rw(1, 0)) })) }),
    ],
    [
      "one name for two things",
      '"map.it.self" must have another name, not "itSelf" in a view: so has "map.itSelf"',
      () => ({ it: r8(0, { self: ro(4) }), itSelf: r8(1, "rw") }),
    ],
    [
      "a name of the accessors",
      '"map.fields" must have another name, not "fields": accessors have their own',
      () => ({ fields: r8(0, "rw") }),
    ],
    [
      "a field called raw",
      '"map.it.raw" must have another name, not "raw"',
      () => ({ it: r8(0, { raw: rw(0) }) }),
    ],
    [
      "a name that is no name",
      '"map.a.b" must be named by a letter, then letters, digits and _, not "a.b"',
      () => ({ "a.b": r8(0, "rw") }),
    ],
    [
      "a joined value of nothing",
      '"map.whole" must be made of what its map has, not of "it.b"',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it.b"]) }),
    ],
    [
      "a joined value of a register with fields",
      '"map.whole" must be made of a field of "it", not of all of it',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it"]) }),
    ],
    [
      "a joined number of 64 bits",
      '"map.whole" must be below 2^53 as a number, not up to 18446744073709552000: say joinedBig(...)',
      () => ({ a: r32(0, "rw"), b: r32(4, "rw"), whole: joined(["a", "b"]) }),
    ],
    [
      "a joined value of more than 64 bits",
      '"map.whole" must have 64 bits at most, not 96',
      () => ({ a: r64(0, "rw"), b: r32(8, "rw"), whole: joinedBig(["b", "a"]) }),
    ],
    [
      "a composed value of nothing",
      '"map.it" must be made of what its map has, not of "toString"',
      () => ({ it: composed(["toString"], () => 1) }),
    ],
    [
      "an inherited name as a field",
      '"map.whole" must be made of what its map has, not of "it.constructor"',
      () => ({ it: r8(0, { a: rw(0) }), whole: joined(["it.constructor"]) }),
    ],
  ];
  for (const [what, message, entries] of wrong)
    test(what, () => expect(refusal(entries())).toContain(message));

  test("what is meant is taken", () => {
    expect(
      refusal({
        receive: r8(0, "rc"),
        transmit: alias("receive", r8(0, "wo")),
        low: r32(4, "rw"),
        high: r32(8, "rw"),
        both: alias(["low", "high"], r64(4, "rw")),
        again: alias("low", r32(12, "rw")),
        wide: big(rw(3, 0)) && r8(1, { a: rw(1, 0, ["a", "b"]) }),
      }),
    ).toBe("");
    expect(refusal({ it: r64(0, { a: big(scaled(rw(63, 12), 4096)), b: wo(11, 0) }) })).toBe("");
  });
});

test("a map's size is a number of bytes", () => {
  for (const size of [0, -4, 4.5, NaN])
    expect(() => registerMap("map", size, {})).toThrow(
      `"map" must have a size of 1 byte or more, not ${size}`,
    );
});

describe("tables that are far too long are refused at once", () => {
  const told = "must have 262144 registers at most, with those of the tables before it, not ";
  const long = r32(0, "rw");
  const wrong: readonly (readonly [what: string, entries: Entries, message: string])[] = [
    ["elements", { it: array(2 ** 30, 4, long) }, `"map.it" ${told}${2 ** 30}`],
    [
      "groups",
      { it: array(2 ** 17, 12, { a: long, b: r32(4, "rw"), c: r32(8, "rw") }) },
      `"map.it" ${told}393216`,
    ],
    ["bits", { it: bitArray(0, 2 ** 40, "rw") }, `"map.it" ${told}${2 ** 35}`],
    ["several", { a: array(2 ** 18, 4, long), b: bitArray(2 ** 20, 1, "rw", 8) }, `"map.b" ${told}262145`],
  ];
  // Whether the map has room for them, or not.
  for (const size of [16, 2 ** 40])
    test.each(wrong)(`%s in ${size} bytes`, (_, entries, message) => {
      expect(() => registerMap("map", size, entries)).toThrow(new RangeError(message));
    });
  test("and as many as that are taken", () => {
    const map: RegisterBlock = registerMap("map", 2 ** 20, { it: array(2 ** 18, 4, long) });
    expect(map.registers["it[262143]"]!.at).toBe(2 ** 20 - 4);
  });
});

test("names that every object has, or that make a promise of it, are refused", () => {
  for (const name of ["constructor", "toString", "then"])
    expect(refusal({ [name]: r32(0, "rw") })).toBe(
      `"map.${name}" must have another name, not "${name}": accessors have their own`,
    );
});
