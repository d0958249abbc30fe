// Between the bits of a register and the value of one of its fields.
import type { Field } from "./field.ts";
import { said } from "./said.ts";
import { scaledBigint, scaledBigintBits, scaledBits, scaledValue } from "./scale.ts";

/** The value of a field. */
export type AnyFieldValue = boolean | number | bigint | string;

/** All ones in `hi - lo + 1` bits; exact for at most 53 of them. */
export function fieldMask(field: { readonly hi: number; readonly lo: number }): number {
  return 2 ** (field.hi - field.lo + 1) - 1;
}
/** A field's bits in its register, as a bigint. */
export function placedMask(field: { readonly hi: number; readonly lo: number }): bigint {
  return ((1n << BigInt(field.hi - field.lo + 1)) - 1n) << BigInt(field.lo);
}

/** How many bits its values have: more than itself where it counts units. */
export const valueWidth = (field: Field): number =>
  field.scale && !field.big
    ? Math.ceil(Math.log2(scaledValue(field.scale, fieldMask(field)) + 1))
    : field.hi - field.lo + 1;

/** The value of a field in a raw register: boolean, number, name, `reserved(n)`, or a bigint. */
export function fieldValue(field: Field, raw: number | bigint): AnyFieldValue {
  if (typeof raw === "bigint") {
    const wide = (raw & placedMask(field)) >> BigInt(field.lo);
    return field.big ? bigValue(field, wide) : bitsValue(field, Number(wide));
  }
  const bits = ((raw >>> field.lo) & fieldMask(field)) >>> 0;
  return field.big ? bigValue(field, BigInt(bits)) : bitsValue(field, bits);
}

const bigValue = ({ scale }: Field, bits: bigint): bigint => (scale ? scaledBigint(scale, bits) : bits);

/** The value that the bits of a field stand for, themselves at bit 0. */
export function bitsValue(field: Field, bits: number): boolean | number | string {
  if (field.values) {
    for (const name in field.values) {
      const named = field.values[name]!;
      if (named === bits || (typeof named === "object" && named.includes(bits))) return name;
    }
    return `reserved(${bits})`;
  }
  if (field.scale) return scaledValue(field.scale, bits);
  return field.hi === field.lo ? bits !== 0 : bits;
}

/** The same as `fieldValue`, but a value whose name another has too shows its bits. */
export function exactValue(field: Field, raw: number | bigint): AnyFieldValue {
  const value = fieldValue(field, raw);
  const named = typeof value === "string" && field.values?.[value];
  if (typeof named !== "object") return value;
  const bits = Number((BigInt(raw) & placedMask(field)) >> BigInt(field.lo));
  return bits === named[0] ? value : `${value} (${bits})`;
}

const namesOf = (field: Field): string => Object.keys(field.values!).join(", ");
const reservedPattern = /^reserved\((\d+)\)$/;

/**
 * The bits that a field's value stands for, at bit 0.
 * @param name of the field with its register and map, for the message
 * @throws RangeError for a name that the field does not have, a number that does not fit, or one between two steps of a scale;
 *   TypeError for another type
 */
export function fieldBits(name: string, field: Field, value: unknown): number {
  const limit = fieldMask(field);
  let bits: number | undefined;
  if (field.values) {
    if (typeof value !== "string")
      throw new TypeError(`"${name}" must be one of ${namesOf(field)}, not ${said(value)}`);
    const reserved = reservedPattern.exec(value);
    const known = Object.hasOwn(field.values, value) ? field.values[value] : undefined;
    if (known === undefined && !reserved)
      throw new RangeError(`"${name}" must be one of ${namesOf(field)}, not ${said(value)}`);
    bits = (typeof known === "object" ? known[0] : known) ?? Number(reserved?.[1]);
  } else if (field.scale) {
    if (typeof value !== "number") throw new TypeError(`"${name}" must be a number, not ${said(value)}`);
    bits = scaledBits(field.scale, value);
    if (bits === undefined || bits > limit)
      throw new RangeError(`"${name}" must be ${steps(field)}, not ${value}`);
  } else if (field.hi === field.lo) {
    if (typeof value !== "boolean") throw new TypeError(`"${name}" must be a boolean, not ${said(value)}`);
    bits = value ? 1 : 0;
  } else {
    if (typeof value !== "number") throw new TypeError(`"${name}" must be a number, not ${said(value)}`);
    bits = value;
  }
  if (!Number.isInteger(bits) || bits < 0 || bits > limit)
    throw new RangeError(`"${name}" must be an integer from 0 to ${limit}, not ${said(value)}`);
  return bits;
}

/** The same as a bigint in the field's place in its register, for fields of any width. */
export function placedBits(name: string, field: Field, value: unknown): bigint {
  if (!field.big) return BigInt(fieldBits(name, field, value)) << BigInt(field.lo);
  if (typeof value !== "bigint") throw new TypeError(`"${name}" must be a bigint, not ${said(value)}`);
  const limit = placedMask(field) >> BigInt(field.lo);
  const bits = field.scale ? scaledBigintBits(field.scale, value) : value;
  if (bits === undefined || bits < 0n || bits > limit)
    throw new RangeError(
      `"${name}" must be ${field.scale ? steps(field) : `an integer from 0 to ${limit}`}, not ${value}`,
    );
  return bits << BigInt(field.lo);
}

/** What a scaled field takes, in words. */
function steps(field: Field): string {
  const { by, plus = 0, base } = field.scale!;
  const bits = field.hi - field.lo + 1;
  const most = field.big
    ? scaledBigint(field.scale!, (1n << BigInt(bits)) - 1n)
    : scaledValue(field.scale!, fieldMask(field));
  const least = field.scale!.zero === undefined ? scaledValue(field.scale!, 0) : scaledValue(field.scale!, 1);
  if (base !== undefined) return `${by} times a power of ${base} up to ${most}`;
  return plus === 0 ? `a multiple of ${by} up to ${most}` : `${least} to ${most} in steps of ${by}`;
}
