// Wrong maps, by kind: each is made of a map that is right, by breaking one thing of it, and is refused by register and field.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
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
  type Field,
  type Register,
  type Width,
} from "../../src/regs/index.ts";
import { anyRegisters, defineRegister } from "../support/any-map.ts";

function refusal(entries: unknown, size = 64, name = "map"): string {
  try {
    registerMap(name, size, entries as Entries);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return error.message;
    throw error;
  }
  return "";
}
/** One style: what must be, and what is. */
const style = /^".+" must .+/s;

const notNumbers = fc.constantFrom<unknown>(NaN, Infinity, -Infinity, "4", null, undefined, {}, [], true, 4n);
const notWholeBytes = fc.oneof(fc.integer({ min: -64, max: -1 }), fc.constantFrom(0.5, 1e300), notNumbers);
const wrongWords = fc.constantFrom<unknown>("rww", "", "RW", "toString", "__proto__", null, 1, {});
const fieldName = "f";

/** Ways to break a field of `width` register bits. */
const brokenField: Readonly<Record<string, (field: Field, width: number) => fc.Arbitrary<unknown>>> = {
  "an access word": (field) => wrongWords.map((access) => ({ ...field, access })),
  "no field": () => fc.constantFrom<unknown>(null, 5, "rw", true),
  "bits past the register": (field, width) =>
    fc.integer({ min: width, max: 99 }).map((hi) => ({ ...field, hi })),
  "bits upside down": (field) => fc.constant({ ...field, lo: field.hi + 1 }),
  "bits that are no integers": (field) => notWholeBytes.map((lo) => ({ ...field, lo })),
  "a name twice": () => fc.constant(rw(2, 1, ["x", "y", "x"])),
  "names that are none": () => fc.constantFrom<unknown>(["x", 1], ["x", undefined, "y"], [""], [null], []).map((names) => rw(2, 1, names as never)), // prettier-ignore
  "no names": () => fc.constantFrom<unknown>({}, { x: [] }, 7, true).map((names) => rw(2, 1, names as never)),
  "more names than values": () => fc.integer({ min: 5, max: 9 }).map((count) => rw(2, 1, Array.from({ length: count }, (_, i) => `n${i}`))), // prettier-ignore
  "a value out of range": () => fc.oneof(fc.integer({ min: 4 }), notWholeBytes).map((value) => rw(2, 1, { x: value } as never)), // prettier-ignore
  "one of several values out of range": () => fc.constant(rw(2, 1, { x: [0, 4] })),
  "one value for two names": () => fc.nat(3).map((value) => rw(2, 1, { x: value, y: [value] })),
  "a name that reads like none": () => fc.nat(9).map((n) => rw(2, 1, { [`reserved(${n})`]: 1 })),
  "units of nothing": () => fc.oneof(fc.constantFrom(0, -1, -0.5), notNumbers).map((by) => scaled(rw(2, 1), by as number)), // prettier-ignore
  "something added that is no number": () => notNumbers.filter((plus) => plus !== undefined).map((plus) => scaled(rw(2, 1), 1, { plus: plus as number })), // prettier-ignore
  "a zero that is no number": () => notNumbers.filter((zero) => zero !== undefined).map((zero) => scaled(rw(2, 1), 1, { zero: zero as number })), // prettier-ignore
  "a zero that others are too": () =>
    fc.integer({ min: 1, max: 3 }).map((zero) => scaled(rw(2, 1), 1, { zero })),
  "a base that is none": () => fc.oneof(fc.constantFrom(1, 0, -2, 1.5), notNumbers).filter((base) => base !== undefined).map((base) => scaled(rw(2, 1), 1, { base: base as number })), // prettier-ignore
  "a scale that is none": () =>
    fc.constantFrom<unknown>(null, 5, "8").map((how) => ({ ...rw(2, 1), scale: how })),
  "a label that is no text": () =>
    fc.constantFrom<unknown>(null, 5, {}).map((label) => ({ ...rw(2, 1), label })),
  "a scale of one bit": (field) => fc.constantFrom(field.lo).map((bit) => ({ ...rw(bit), scale: { by: 8 } })),
  "a scale and names": () => fc.constant(scaled(rw(2, 1, ["a"]) as never, 8)),
  "a bigint of one bit": () => fc.constant(big(rw(1) as never)),
  "a bigint with names": () => fc.constant(big(rw(2, 1, ["a"]) as never)),
  "a bigint of parts": () => fc.constantFrom(0.5, 1.5).map((by) => big(scaled(rw(2, 1), by))),
  "a reset value that does not fit": () => fc.oneof(fc.integer({ min: 4 }), notWholeBytes).filter((value) => value !== undefined).map((value) => reset(value as never, rw(2, 1))), // prettier-ignore
  "a reset value without a name": () => fc.constantFrom("z", 1, true, null).map((value) => reset(value as never, rw(2, 1, ["x"]))), // prettier-ignore
  "a reset value between two steps": () => fc.constant(reset(5, scaled(rw(2, 1), 8))),
  "a reset value that is no boolean": () =>
    fc.constantFrom(0, 1, "on").map((value) => reset(value as never, rw(1))),
};

describe("a field, wherever its register stands, is refused by its path:", () => {
  const places: readonly ((register: Register) => readonly [entries: unknown, path: string])[] = [
    (register) => [{ it: register }, "map.it"],
    (register) => [{ before: r32(56, "rw"), it: alias("before", { ...register, at: 56 }) }, "map.it"],
    (register) => [{ it: array(3, 8, register) }, "map.it"],
    (register) => [{ it: array(3, 8, { of: register }) }, "map.it"],
  ];
  for (const [what, breaks] of Object.entries(brokenField))
    test(what, () =>
      fc.assert(
        fc.property(
          fc.constantFrom<Width>(8, 16, 32, 64),
          fc.nat(6),
          fc.constantFrom(...places),
          (width, bit, place) => {
            for (const field of fc.sample(breaks(rw(bit), width), 8)) {
              const [entries, path] = place(defineRegister(width, 0, { [fieldName]: field as Field }));
              const message = refusal(entries);
              expect(message).toMatch(style);
              expect(message).toStartWith(`"${path}`);
              expect(message).toMatch(/\.f"/);
            }
          },
        ),
        { numRuns: 20 },
      ),
    );

  test("names that accessors have themselves, or that are none", () => {
    const names = [
      ...["raw", "fields", "then", "constructor", "toString", "valueOf", "hasOwnProperty", "__proto__", "isPrototypeOf"],
      ...["", "a b", "a.b", "a[0]", "1st", "é", "$base", "$memory", "_a"],
    ]; // prettier-ignore
    for (const name of names)
      for (const place of places) {
        const fields = Object.fromEntries([[name, rw(0)]]);
        const [entries, path] = place(r8(0, fields));
        const message = refusal(entries);
        expect(message).toMatch(style);
        expect(message).toStartWith(`"${path}`);
        expect(message).toContain(`.${name}"`);
      }
  });
});

describe("a register is refused by its path:", () => {
  const broken: Readonly<Record<string, (register: Register) => fc.Arbitrary<unknown>>> = {
    "no place": (register) => notWholeBytes.map((at) => ({ ...register, at })),
    "past the end": (register) =>
      fc.integer({ min: 64, max: 1 << 20 }).map((n) => ({ ...register, at: n * 8 })),
    "a width": (register) =>
      fc.oneof(fc.constantFrom(0, -8, 7, 24, 128), notNumbers).map((width) => ({ ...register, width })),
    "an access word": (register) => wrongWords.map((access) => ({ ...register, access })),
    "no fields and no word": ({ width }) => fc.constant(defineRegister(width, 0, {})),
    "no register": () => fc.constantFrom<unknown>(null, undefined, 5, "rw", [], {}, { kind: "table" }),
    "an alias of nothing": (register) =>
      fc
        .constantFrom<unknown>("", "other", "reg", "toString", [], [1], 5, null)
        .map((of) => ({ ...register, alias: of })),
    "a reset value": (register) =>
      fc
        .oneof(fc.constantFrom<unknown>(-1, 2 ** register.width, 1n << 64n, -1n), notNumbers)
        .filter((value) => value !== undefined && value !== 4n)
        .map((value) => ({ ...register, reset: value })),
  };
  for (const [what, breaks] of Object.entries(broken))
    test(what, () =>
      fc.assert(
        fc.property(anyRegisters, fc.nat(), ({ registers, size }, pick) => {
          const names = Object.keys(registers);
          const name = names[pick % names.length]!;
          for (const register of fc.sample(breaks(registers[name]!), 6)) {
            const message = refusal({ ...registers, [name]: register }, size);
            expect(message).toMatch(style);
            expect(message).toStartWith(`"map.${name}"`);
          }
        }),
        { numRuns: 50 },
      ),
    );

  test("a map that is not broken is taken", () => {
    fc.assert(
      fc.property(anyRegisters, ({ registers, size }) => {
        expect(refusal(registers, size)).toBe("");
      }),
      { numRuns: 500 },
    );
  });

  test("a reset value beside those of its fields", () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(15), (whole, own) => {
        const it = reset(whole, r8(0, { low: ro(3, 0), high: reset(own, rw(7, 4)) }));
        const message = refusal({ it });
        if (whole >> 4 === own) expect(message).toBe("");
        else expect(message).toMatch(/^"map\.it\.high" must have the value that .+ not \d+$/);
      }),
    );
  });
});

describe("registers that share bytes", () => {
  test("are refused unless each of them is said", () => {
    const place = fc.record({
      at: fc.nat(6),
      width: fc.constantFrom<Width>(8, 16, 32),
      of: fc.option(fc.nat(3)),
    });
    fc.assert(
      fc.property(fc.array(place, { minLength: 2, maxLength: 4 }), (places) => {
        const registers = places.map(({ at, width, of }, index) => {
          const register = defineRegister(width, (at * 4) % 16, "rw");
          return of !== null && of < index ? alias(`r${of}`, register) : register;
        });
        const parent = (index: number): readonly number[] => {
          const of = places[index]!.of;
          return of !== null && of < index ? [of, ...parent(of)] : [];
        };
        const end = ({ at, width }: Register): number => at + width / 8;
        let isWrong = false;
        for (const [i, a] of registers.entries())
          for (const [j, b] of registers.entries()) {
            if (i >= j) continue;
            const isShared = a.at < end(b) && b.at < end(a);
            const [ofA, ofB] = [parent(i), parent(j)];
            if (isShared) isWrong ||= !ofB.includes(i) && !ofA.some((of) => ofB.includes(of));
            else isWrong ||= places[j]!.of === i && a.width !== b.width;
          }
        const message = refusal(Object.fromEntries(registers.map((one, index) => [`r${index}`, one])));
        if (isWrong) expect(message).toMatch(/^"map\.r\d" must have/);
        else expect(message).toBe("");
      }),
      { numRuns: 2000 },
    );
  });

  const pair = { a: r32(0, "rw"), b: r32(4, "rw") };
  test("a wide one names all that it covers", () => {
    expect(refusal({ ...pair, both: alias("a", r64(0, "rw")) })).toBe(
      '"map.b" must have bytes of its own, not those of "map.both": say alias(...) where that is meant',
    );
    expect(refusal({ ...pair, both: alias(["a", "b"], r64(0, "rw")) })).toBe("");
  });
  test("not each of the other", () => {
    const message = refusal({ a: alias("b", r32(0, "rw")), b: alias("a", r32(0, "rw")) });
    expect(message).toBe('"map.b" must be an alias of another register, not of itself by way of "map.a"');
    const three = { a: alias("b", r8(0, "rw")), b: alias("c", r8(0, "rw")), c: alias("a", r8(0, "rw")) };
    expect(refusal(three)).toContain("not of itself by way of");
    expect(refusal({ a: alias("a", r8(0, "rw")) })).toContain('"map.a" must be an alias of another register');
  });
  test("nor with two reset values", () => {
    const message = refusal({ a: reset(1, r8(0, "rw")), b: alias("a", reset(2, r8(0, "wo"))) });
    expect(message).toMatch(/^"map\.b" must have the reset value that "map\.a" says/);
    expect(refusal({ a: reset(1, r8(0, "rw")), b: alias("a", r8(0, "wo")) })).toBe("");
  });
});

describe("a table is refused by its name:", () => {
  const register = r32(0, { valid: rw(0), index: rw(7, 4) });
  const wrong: Readonly<Record<string, (value: unknown) => unknown>> = {
    "an array's count": (count) => array(count as number, 4, register),
    "an array's stride": (stride) => array(2, stride as number, register),
    "a group's stride": (stride) => array(2, stride as number, { low: r32(0, "rw"), high: r32(4, "rw") }),
    "a bit array's count": (count) => bitArray(0, count as number, "rw"),
    "a bit array's place": (at) => bitArray(at as number, 32, "rw"),
  };
  const value = fc.oneof(fc.integer({ min: -9, max: -1 }), fc.constantFrom<unknown>(2.5, 1e99), notNumbers);
  for (const [what, make] of Object.entries(wrong))
    test(what, () =>
      fc.assert(
        fc.property(value, (bad) => {
          const message = refusal({ it: make(bad) });
          expect(message).toMatch(style);
          expect(message).toStartWith('"map.it');
        }),
      ),
    );
  const others: readonly (readonly [what: string, entry: unknown, message: string])[] = [
    ["no elements", array(0, 4, register), '"map.it" must have 1 element or more, not 0'],
    ["elements that overlap", array(2, 3, register), "must have a stride of the 4 bytes of its elements or more, not 3"],
    ["an empty group", array(2, 4, {}), '"map.it" must be an array of a register at least, not of none'],
    ["a table of tables", array(2, 8, array(2, 4, register) as never), "must be an array of a register or of a group of them, not of a table"],
    ["a group of tables", array(2, 8, { of: array(2, 4, register) } as never), '"map.it.of" must be a register, not an object'],
    ["an alias in a group of nothing", array(2, 4, { of: alias("low", register) }), '"map.it[0].of" must be an alias of another register'],
    ["two names for one", array(2, 8, { a: r8(0, { bC: rw(0) }), aB: r8(1, { c: rw(0) }) }), '"map.it.aB.c" must have another name, not "aBC" in a view: so has "map.it.a.bC"'],
    ["names of every object, put together", array(2, 8, { value: r8(0, { of: rw(0) }) }), '"map.it.value.of" must have another name, not "valueOf" in a view'],
    ["a trait that tables have not", { ...array(2, 4, register), volatile: true }, '"map.it" must have "volatile" said of its registers, not of the table'],
    ["a bit array of 24 bits", bitArray(0, 24, "rw", 24 as 8), '"map.it" must have registers of 8, 16 or 32 bits, not 24'],
    ["a bit array's word", bitArray(0, 24, "rww" as "rw"), "must have an access word (ro, rw, rw1c, "],
  ]; // prettier-ignore
  for (const [what, entry, message] of others)
    test(what, () => expect(refusal({ it: entry })).toContain(message));
});

describe("a value of several is refused by its name:", () => {
  const registers = {
    a: r32(0, "rw"),
    b: r32(4, { x: rw(7, 0), y: rw(15, 8), key: wo(31, 16) }),
    wide: r64(8, "rw"),
  };
  const others: readonly (readonly [what: string, entry: unknown, message: string])[] = [
    ["a part twice", joined(["a", "a"]), '"map.it" must be made of each part once, not of "a" twice'],
    ["a field twice", joined(["b.x", "b.y", "b.x"]), 'not of "b.x" twice'],
    ["bits twice", joined(["low", "a"]), '"map.it" must be made of bits once, not of those of "low" in "a" too'],
    ["of nothing", joined([]), "must be made of registers and fields by their names, not of none"],
    ["of no names", joined([1] as never), "must be made of registers and fields by their names"],
    ["of a text", { ...joined(["a"]), parts: "a" }, "must be made of registers and fields by their names"],
    ["of units of nothing", joined(["b.x"], { by: 0 }), "must count units of a number above 0, not of 0"],
    ["of NaN added", joined(["b.x"], { plus: NaN }), '"map.it" must be a number of units, and not NaN'],
    ["of no scale", { kind: "joined", parts: ["a"] }, '"map.it" must have a scale with units, not undefined'],
    ["put in words by none", composed(["a"], () => 1, { text: 5 as never }), '"map.it" must be put in words by a function, not by 5'],
    ["of half a bigint", joinedBig(["b.x"], { by: 0.5 }), '"map.it" must count in whole numbers as a bigint, not in 0.5'],
    ["beyond 2^53", joined(["wide"]), '"map.it" must be below 2^53 as a number'],
    ["not computed", composed(["a"], 5 as never), '"map.it" must be computed by a function, not by 5'],
    ["computed of more than a number holds", composed(["wide"], () => 1), '"map.it" must be made of parts of 53 bits at most, not of "wide" of 64: say composedBig(...)'],
    ["needing more than it is made of", composed(["wide"], () => 1, { needed: 2 }), '"map.it" must need 1 to 1 of its parts, not 2'],
    ["computed of what cannot be read", composed(["b.key"], () => 1), '"map.it" must be made of what can be read, not of "b.key"'],
  ]; // prettier-ignore
  for (const [what, entry, message] of others)
    test(what, () => {
      const low = alias("a", r16(0, "rw"));
      expect(refusal({ ...registers, low, it: entry })).toContain(message);
    });
});

test("a map without a name, a size or a register is refused", () => {
  for (const name of ["", null, 5])
    expect(refusal({ a: r8(0, "rw") }, 1, name as string)).toContain("a name");
  for (const entries of [{}, null, undefined, [], "a", 5])
    expect(refusal(entries)).toStartWith('"map" must ');
});

test("what is wrong with a bitwise scale of many bits", () => {
  const map = (field: Field): unknown => ({ it: r64(0, { f: field }) });
  for (const field of [
    scaled(rw(15, 0), 1, { base: 2 }),
    scaled(rw(5, 0), 1, { base: 2 }),
    scaled(rw(63, 12), 4096),
  ])
    expect(refusal(map(field))).toMatch(/^"map\.it\.f" must .*below 2\^53|^"map\.it\.f" must have 53 bits/);
  expect(refusal(map(big(scaled(rw(5, 0), 1, { base: 2 }))))).toBe("");
  expect(refusal(map(big(scaled(rw(6, 0), 1, { base: 2 }))))).toContain("must be below 2^64");
  const view = registerMap("map", 8, { it: r64(0, { f: big(scaled(rw(5, 0), 1, { base: 2 })) }) }).view(
    new DataView(new ArrayBuffer(8)),
  );
  view.itF = 1n << 63n;
  expect([view.it, view.itF]).toEqual([63n, 1n << 63n]);
  for (const wrong of [3n, 0n, -1n, 1n << 64n, 1n << 100_000n])
    expect(() => (view.itF = wrong)).toThrow(RangeError);
});

test("every value of a scale that is taken can be written back; what cannot is refused", () => {
  const number = fc.oneof(
    fc.integer({ min: 1, max: 1 << 20 }),
    fc.integer({ min: 1, max: 1000 }).map((n) => 1 / n),
    fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
    fc.constantFrom(0.1, 0.3, 1e-7, 2 ** -60, 2 ** 40),
  );
  const scale = fc.record({
    by: number,
    plus: fc.oneof(
      fc.constant(undefined),
      fc.integer({ min: -5000, max: 5000 }),
      fc.constantFrom(0.1, 2 ** 52, -(2 ** 60)),
    ),
    base: fc.oneof(fc.constant(undefined), fc.constantFrom(2, 4, 10)),
    zero: fc.oneof(fc.constant(undefined), fc.constantFrom(0, 1, 256, -1, 2 ** 40)),
  });
  let taken = 0;
  fc.assert(
    fc.property(
      scale,
      fc.integer({ min: 2, max: 53 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
      (how, bits, places) => {
        const { by, ...more } = how;
        const it = r64(0, { f: scaled(rw(bits - 1, 0), by, more) });
        const message = refusal({ it }, 8);
        if (message !== "") return expect(message).toMatch(/^"map\.it\.f" must /);
        taken++;
        const view = registerMap("map", 8, { it }).view(new DataView(new ArrayBuffer(8)));
        const most = 2 ** bits - 1;
        for (const raw of [0, 1, most, ...places.map((place) => Math.floor(place * most))]) {
          view.it = BigInt(raw);
          const value = view.itF;
          view.it = 0n;
          view.itF = value;
          expect([how, bits, view.it]).toEqual([how, bits, BigInt(raw)]);
        }
      },
    ),
    { numRuns: 1500 },
  );
  expect(taken).toBeGreaterThan(300);
});
