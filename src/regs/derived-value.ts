// The values of joined and composed entries, from the registers that hold their parts.
import { accessWords, isWritable } from "./access.ts";
import type { AnyValue, Derived, Joined } from "./derived.ts";
import type { Field } from "./field.ts";
import { bitsValue, fieldMask, placedMask } from "./field-value.ts";
import { hasFields, type Register, type Registers } from "./register.ts";
import { said } from "./said.ts";
import { scaledBigint, scaledBigintBits, scaledBits, scaledValue } from "./scale.ts";

/** A register or a field of one, as a part of a derived value. */
export interface Part {
  /** The register's name in the map. */
  readonly name: string;
  readonly register: Register;
  /** Undefined where the whole register is the part. */
  readonly fieldName: string | undefined;
  readonly field: Field | undefined;
  /** How many bits it has. */
  readonly width: number;
}

/** The paths that a derived entry names. */
export const pathsOf = (derived: Derived): readonly string[] =>
  derived.kind === "joined" ? derived.parts : derived.from;

/** Finds what a derived entry names. @throws RangeError for a path of nothing, or of a register that is split into fields */
export function partsOf(where: string, derived: Derived, registers: Registers): readonly Part[] {
  return pathsOf(derived).map((path) => {
    // A register of a group has a dot in its name: `table[3].low`.
    const dot = Object.hasOwn(registers, path) ? -1 : path.lastIndexOf(".");
    const name = dot < 0 ? path : path.slice(0, dot);
    const fieldName = dot < 0 ? undefined : path.slice(dot + 1);
    const register = Object.hasOwn(registers, name) ? registers[name] : undefined;
    const field =
      register && fieldName !== undefined && Object.hasOwn(register.fields, fieldName)
        ? register.fields[fieldName]
        : undefined;
    if (!register || (fieldName !== undefined && !field))
      throw new RangeError(`"${where}" must be made of what its map has, not of "${path}"`);
    if (!field && derived.kind === "joined" && hasFields(register))
      throw new RangeError(`"${where}" must be made of a field of "${path}", not of all of it`);
    return { name, register, fieldName, field, width: field ? field.hi - field.lo + 1 : register.width };
  });
}

/** The register whose fields alone are the parts of a value, and the first of them. */
export function homeOf(parts: readonly Part[]): readonly [register: string, field: string] | undefined {
  const [first, ...others] = parts;
  if (first?.fieldName === undefined || others.some(({ name }) => name !== first.name)) return undefined;
  return [first.name, first.fieldName];
}

/** Whether a read tells all that a value is made of. */
export const isJoinedReadable = (parts: readonly Part[]): boolean =>
  parts.every(({ register, field }) => accessWords[(field ?? register).access].read !== "unreadable");
/** Whether software can write all that a joined value is made of. */
export const isJoinedWritable = (parts: readonly Part[]): boolean =>
  parts.every(({ register, field }) => isWritable((field ?? register).access));

const bitsOf = ({ field }: Part, raw: number | bigint): number | bigint => {
  if (!field) return raw;
  if (typeof raw === "bigint") return (raw & placedMask(field)) >> BigInt(field.lo);
  return ((raw >>> field.lo) & fieldMask(field)) >>> 0;
};

/** Whether no bit of a part is set in `raw`, the whole value of its register. */
export const isZeroPart = (part: Part, raw: number | bigint): boolean => Number(bitsOf(part, raw)) === 0;

/** The value of a derived entry; `raw` gives the whole value of a part's register. */
export function derivedValue(
  derived: Derived,
  parts: readonly Part[],
  raw: (part: Part) => number | bigint,
): AnyValue {
  if (derived.kind === "composed") {
    const bits = parts.map((part) => bitsOf(part, raw(part)));
    return derived.compute(
      ...bits.map((one) => (derived.big ? BigInt(one) : Number(one)) as number),
    ) as AnyValue;
  }
  if (!derived.big) {
    let value = 0;
    for (const part of parts) value = value * 2 ** part.width + Number(bitsOf(part, raw(part)));
    return scaledValue(derived.scale, value);
  }
  let value = 0n;
  for (const part of parts) value = (value << BigInt(part.width)) | BigInt(bitsOf(part, raw(part)));
  return scaledBigint(derived.scale, value);
}

/**
 * What each part takes so that all are `value`, the highest part first: the value of a field, the bits of a register.
 * @throws TypeError for another type; RangeError for a value that the parts cannot hold
 */
export function partValues(
  where: string,
  { scale, big }: Joined,
  parts: readonly Part[],
  value: unknown,
): readonly (boolean | number | bigint | string)[] {
  const type = big ? "bigint" : "number";
  if (typeof value !== type) throw new TypeError(`"${where}" must be a ${type}, not ${said(value)}`);
  const steps = big ? scaledBigintBits(scale, value as bigint) : scaledBits(scale, value as number);
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  if (steps === undefined || BigInt(steps) >> BigInt(width) !== 0n)
    throw new RangeError(
      `"${where}" must be a value of ${width} bits in units of ${scale.by}, not ${String(value)}`,
    );
  let left = BigInt(steps);
  return parts
    .toReversed()
    .map(({ width: bits, register, field }) => {
      const part = left & ((1n << BigInt(bits)) - 1n);
      left >>= BigInt(bits);
      if (field?.big) return field.scale ? scaledBigint(field.scale, part) : part;
      // Of several values with one name, this one.
      if (field?.values) return `reserved(${part})`;
      return field ? bitsValue(field, Number(part)) : register.width === 64 ? part : Number(part);
    })
    .toReversed();
}
