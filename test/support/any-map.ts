// Maps of random registers: every access word, width and kind of field, none of them wrong.
import fc from "fast-check";
import {
  accessWords,
  big,
  r16,
  r32,
  r64,
  r8,
  scaled,
  type Access,
  type DefineField,
  type Field,
  type Fields,
  type Register,
  type Width,
} from "../../src/regs/index.ts";
import * as words from "../../src/regs/field.ts";

const defineField = words as unknown as Readonly<Record<Access, DefineField<Access>>>;
const definers = { 8: r8, 16: r16, 32: r32, 64: r64 } as const;
/** `r8` to `r64` by their width, for fields or a word that only the run knows. */
export const defineRegister = (width: Width, at: number, what: Fields | Access): Register =>
  (definers[width] as (at: number, what: Fields | Access) => Register)(at, what);

/** Fields of at most `width` bits each, one above the other, with bits left out between them. */
function fieldsOf(width: Width, access: fc.Arbitrary<Access>): fc.Arbitrary<Fields> {
  const shape = fc.record({
    gap: fc.nat(3),
    bits: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 12 }), fc.integer({ min: 13, max: 64 })),
    kind: fc.constantFrom("plain", "names", "scaled"),
    by: fc.constantFrom(1, 8, 4096, 0.5),
    access,
  });
  return fc
    .array(shape, { minLength: 1, maxLength: 6 })
    .map((shapes) => {
      const fields: Record<string, Field> = {};
      let lo = 0;
      for (const { gap, bits, kind, by, access: word } of shapes) {
        lo += gap;
        const hi = Math.min(width, lo + bits) - 1;
        if (lo >= width) break;
        fields[`f${lo}`] = fieldOf(defineField[word], hi, lo, kind, by);
        lo = hi + 1;
      }
      return fields;
    })
    .filter((fields) => Object.keys(fields).length > 0);
}

function fieldOf(define: DefineField<Access>, hi: number, lo: number, kind: string, by: number): Field {
  const bits = hi - lo + 1;
  if (bits === 1) return kind === "names" ? define(hi, lo, ["off", "on"]) : define(hi);
  if (kind === "names" && bits <= 12) return define(hi, lo, { zero: 0, one: 1, some: [2, 3] });
  const number = define(hi, lo) as Field<Access, number>;
  if (bits > 40) return big(kind === "scaled" && Number.isInteger(by) ? scaled(number, 1) : number);
  return kind === "scaled" ? scaled(number, by) : number;
}

/** Any access word. */
export const anyAccess: fc.Arbitrary<Access> = fc.constantFrom(...(Object.keys(accessWords) as Access[]));

/** A register of fields at byte 0; `access` gives their words. */
export const anyFieldsRegister = (access: fc.Arbitrary<Access> = anyAccess): fc.Arbitrary<Register> =>
  fc
    .constantFrom<Width>(8, 16, 32, 64)
    .chain((width) => fieldsOf(width, access).map((fields) => defineRegister(width, 0, fields)));

/** A register of one value at byte 0. */
export const anyPlainRegister: fc.Arbitrary<Register> = fc
  .tuple(fc.constantFrom<Width>(8, 16, 32, 64), anyAccess)
  .map(([width, access]) => defineRegister(width, 0, access));

/** Registers one after the other, each where it is aligned; `size` is theirs. */
export const anyRegisters: fc.Arbitrary<{
  readonly registers: Readonly<Record<string, Register>>;
  readonly size: number;
}> = fc.array(fc.oneof(anyFieldsRegister(), anyPlainRegister), { minLength: 1, maxLength: 5 }).map((list) => {
  const registers: Record<string, Register> = {};
  let size = 0;
  for (const [index, register] of list.entries()) {
    const at = Math.ceil(size / 8) * 8;
    registers[`reg${index}`] = { ...register, at };
    size = at + register.width / 8;
  }
  return { registers, size };
});
