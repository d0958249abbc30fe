// Every access word against a device of one register: what is named changes, all else stays, in one access of each kind.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  accessWords,
  bitArray,
  fieldValue,
  registerMap,
  reset,
  type Access,
  type AnyFieldValue,
  type Field,
  type Register,
} from "../../src/regs/index.ts";
import { anyAccess, anyFieldsRegister, defineRegister } from "../support/any-map.ts";
import { bitWords, RegisterModel, writtenBit } from "../support/register-model.ts";

interface AnyLive {
  read?(): Readonly<Record<string, unknown>>;
  write?(value: unknown): void;
  modify?(changes: unknown): void;
}
const liveOf = (register: Register, model: RegisterModel): AnyLive =>
  (registerMap("map", 8, { it: register }).live(model) as { it: AnyLive }).it;

const isWritable = ({ access }: Field): boolean => accessWords[access].write !== "none";
const isReadable = ({ access }: Field): boolean => accessWords[access].read !== "unreadable";
const hasReadEffect = ({ access }: Field): boolean => /sets|clears/.test(accessWords[access].read);

/** Values for the fields that `pick` names, and the bits that they are in the register. */
function someChanges(
  register: Register,
  bits: bigint,
  pick: (name: string, field: Field) => boolean,
): { changes: Record<string, AnyFieldValue>; written: Map<number, boolean> } {
  const changes: Record<string, AnyFieldValue> = {};
  const written = new Map<number, boolean>();
  for (const [name, field] of Object.entries(register.fields)) {
    if (!isWritable(field) || !pick(name, field)) continue;
    changes[name] = fieldValue(field, register.width === 64 ? bits : Number(bits));
    let own = bits >> BigInt(field.lo);
    // The second value of a name is written as the first.
    if (changes[name] === "some") own = 2n;
    for (let bit = field.lo; bit <= field.hi; bit++)
      written.set(bit, ((own >> BigInt(bit - field.lo)) & 1n) === 1n);
  }
  return { changes, written };
}

const anyBits = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const inWidth = (register: Register, bits: bigint): bigint => bits & ((1n << BigInt(register.width)) - 1n);
/** What the bits are when the named ones were written, and no other. */
const after = (
  register: Register,
  before: readonly boolean[],
  written: ReadonlyMap<number, boolean>,
): boolean[] =>
  bitWords(register).map((word, bit) =>
    written.has(bit) ? writtenBit(word, before[bit]!, written.get(bit)!) : before[bit]!,
  );

describe("a live register", () => {
  test("modify: one read, one write, and nothing else changes; or it is refused, and nothing is touched", () => {
    let [made, refused] = [0, 0];
    fc.assert(
      fc.property(anyFieldsRegister(), anyBits, anyBits, anyBits, (register, state, bits, chosen) => {
        const model = new RegisterModel(register, state);
        const before = [...model.bits];
        const live = liveOf(register, model);
        const fields = Object.values(register.fields);
        if (!fields.some(isWritable)) return expect(live.modify).toBeUndefined();
        const { changes, written } = someChanges(
          register,
          inWidth(register, bits),
          (_, field) => !isReadable(field) || ((chosen >> BigInt(field.lo)) & 1n) === 1n,
        );
        const times = register.width === 64 ? 2 : 1;
        if (fields.some(hasReadEffect)) {
          expect(() => live.modify!(changes)).toThrow(
            /^"map\.it" must be written whole, not modified: reading "map\.it\.f\d+"/,
          );
          expect([model.reads, model.writes]).toEqual([0, 0]);
          refused++;
          return;
        }
        live.modify!(changes);
        made++;
        expect([model.reads, model.writes]).toEqual([times, times]);
        expect(model.breaches).toEqual([]);
        expect(model.bits).toEqual(after(register, before, written));
      }),
      { numRuns: 1500 },
    );
    expect(made).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(200);
  });

  test("modify without a write-only field is refused", () => {
    const words = fc.constantFrom<Access>("wo", "rw", "rw1c", "rsvdp");
    fc.assert(
      fc.property(anyFieldsRegister(words), anyBits, (register, bits) => {
        const missing = Object.entries(register.fields).filter(([, field]) => !isReadable(field));
        fc.pre(missing.length > 0);
        const model = new RegisterModel(register, 0n);
        const [[name]] = missing as [[string, Field]];
        const { changes } = someChanges(register, inWidth(register, bits), (other) => other !== name);
        expect(() => liveOf(register, model).modify!(changes)).toThrow(
          `"map.it.${name}" must be named in each change`,
        );
        expect([model.reads, model.writes]).toEqual([0, 0]);
      }),
    );
  });

  test("write: one write, no read; what is not named has its value after a reset, or is left alone", () => {
    fc.assert(
      fc.property(anyFieldsRegister(), anyBits, anyBits, anyBits, (plain, state, bits, whole) => {
        const register = reset(inWidth(plain, whole), plain);
        const model = new RegisterModel(register, state);
        const before = [...model.bits];
        const live = liveOf(register, model);
        if (!Object.values(register.fields).some(isWritable)) return expect(live.write).toBeUndefined();
        const { changes, written } = someChanges(
          register,
          inWidth(register, bits),
          (_, { lo }) => lo % 2 === 0,
        );
        live.write!(changes);
        expect([model.reads, model.writes]).toEqual([0, register.width === 64 ? 2 : 1]);
        expect(model.breaches.filter((breach) => breach.includes("RsvdZ"))).toEqual([]);
        const expected = after(register, before, written);
        for (const [bit, word] of bitWords(register).entries())
          if (!written.has(bit) && (word === undefined || accessWords[word].write === "store"))
            expected[bit] = ((whole >> BigInt(bit)) & 1n) === 1n;
        expect(model.bits).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("read: one read, and each field that can be read", () => {
    fc.assert(
      fc.property(anyFieldsRegister(), anyBits, (register, state) => {
        const model = new RegisterModel(register, state);
        const live = liveOf(register, model);
        const readable = Object.entries(register.fields).filter(([, field]) => isReadable(field));
        if (readable.length === 0) return expect(live.read).toBeUndefined();
        const bits = inWidth(register, state);
        const raw = register.width === 64 ? bits : Number(bits);
        const snapshot = live.read!();
        expect(Object.keys(snapshot)).toEqual(["raw", ...readable.map(([name]) => name)]);
        for (const [name, field] of readable) expect(snapshot[name]).toBe(fieldValue(field, raw));
        expect(model.reads).toBe(register.width === 64 ? 2 : 1);
      }),
      { numRuns: 1000 },
    );
  });

  test("takes values by the names of fields, and nothing else", () => {
    const things: readonly unknown[] = [
      ...[() => 1, (register: object) => register, class {}, [], [1], new Map(), new Set(["f0"]), new Date(), /f0/],
      ...[null, undefined, 0, 1n, "f0", true, Symbol("f0"), new (class Change { f0 = true })(), Object.create({ f0: 1 })],
    ]; // prettier-ignore
    fc.assert(
      fc.property(anyFieldsRegister(fc.constantFrom<Access>("rw", "rw1c", "rsvdz")), (register) => {
        fc.pre(Object.values(register.fields).some(isWritable));
        const model = new RegisterModel(register, 0n);
        const { modify, write } = liveOf(register, model);
        for (const thing of things) {
          expect(() => modify!(thing)).toThrow(
            /^"map\.it" must be given values by the names of its fields, not /,
          );
          if (typeof thing !== "number" && typeof thing !== "bigint")
            expect(() => write!(thing)).toThrow(/^"map\.it" must be /);
        }
        for (const changes of [
          { [Symbol.iterator]: 1 },
          { other: true },
          { raw: 1 },
          JSON.parse('{"__proto__":1}'),
        ])
          expect(() => modify!(changes)).toThrow(/^"map\.it\.[^"]+" must be one of f/);
        expect([model.reads, model.writes]).toEqual([0, 0]);
      }),
      { numRuns: 50 },
    );
  });
});

/** Memory of 8 bytes; what is written there reaches a device too. */
class WrittenMemory extends DataView<ArrayBuffer> {
  readonly #device: RegisterModel;
  constructor(device: RegisterModel) {
    super(new ArrayBuffer(8));
    this.#device = device;
  }
  fill(value: bigint): void {
    super.setBigUint64(0, value, true);
  }
  override setUint8(at: number, value: number): void {
    this.#device.write(at, 1, value);
  }
  override setUint16(at: number, value: number): void {
    this.#device.write(at, 2, value);
  }
  override setUint32(at: number, value: number): void {
    this.#device.write(at, 4, value);
  }
  override setBigUint64(at: number, value: bigint): void {
    this.#device.write(at, 4, Number(value & 0xffff_ffffn));
    this.#device.write(at + 4, 4, Number(value >> 32n));
  }
}

test("in memory a field is set as in a device, and its neighbours are left alone", () => {
  fc.assert(
    fc.property(anyFieldsRegister(), anyBits, anyBits, fc.nat(), (register, state, bits, pick) => {
      const writable = Object.keys(register.fields).filter((name) => isWritable(register.fields[name]!));
      fc.pre(writable.length > 0);
      const name = writable[pick % writable.length]!;
      const model = new RegisterModel(register, state);
      const before = [...model.bits];
      const { changes, written } = someChanges(register, inWidth(register, bits), (other) => other === name);
      const memory = new WrittenMemory(model);
      memory.fill(state);
      const view = registerMap("map", 8, { it: register }).view(memory) as unknown as Record<
        string,
        AnyFieldValue
      >;
      view[`itF${name.slice(1)}`] = changes[name]!;
      expect(model.writes).toBeGreaterThan(0);
      expect(model.breaches).toEqual([]);
      expect(model.bits).toEqual(after(register, before, written));
    }),
    { numRuns: 700 },
  );
});

test("a bit of a live bit array changes alone, or not at all", () => {
  let set = 0;
  fc.assert(
    fc.property(
      anyAccess,
      fc.constantFrom<8 | 16 | 32>(8, 16, 32),
      anyBits,
      fc.nat(),
      fc.boolean(),
      (access, width, state, pick, value) => {
        const register = defineRegister(width, 0, access);
        const model = new RegisterModel(register, state);
        const before = [...model.bits];
        const index = pick % width;
        const { bits } = registerMap("map", 4, { bits: bitArray(0, width, access, width) }).live(model) as {
          bits: { get?(index: number): boolean; set?(index: number, value: boolean): void };
        };
        const { read, write } = accessWords[access];
        if (write === "none") return expect(bits.set).toBeUndefined();
        if (write === "store" && read === "unreadable") {
          expect(() => bits.set!(index, value)).toThrow(
            `"map.bits[${index}]" must be written with its register, not alone`,
          );
          return expect([model.reads, model.writes]).toEqual([0, 0]);
        }
        bits.set!(index, value);
        set++;
        expect(model.bits).toEqual(after(register, before, new Map([[index, value]])));
        if (read === "none") expect(bits.get!(index)).toBe(model.bits[index]!);
        else expect(model.reads).toBe(0);
      },
    ),
    { numRuns: 1000 },
  );
  expect(set).toBeGreaterThan(100);
});
