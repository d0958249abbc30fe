// References to a register or a field by its name in a map. They carry what a bare number would leave to be known:
// offset, width, masks, access. Code that takes a reference cannot be given a number of its own.
import { accessWords, type Access, type WriteEffect } from "./access.ts";
import type { Field, FieldValue } from "./field.ts";
import { fieldBits, fieldValue, placedBits, placedMask } from "./field-value.ts";
import { fieldLine, printsAs, registerLine } from "./inspect.ts";
import { rawValue } from "./raw-value.ts";
import { checkRaw, hasFields, type RawValue, type Register, type Registers, type Width } from "./register.ts";

/** A register of a map. */
export interface RegisterReference<R extends Register = Register<8 | 16 | 32>> {
  /** The map's name. */
  readonly map: string;
  /** The register's name in the map. */
  readonly name: string;
  /** As it was described. */
  readonly register: R;
  /** Byte offset in the map. */
  readonly at: number;
  /** In bits. */
  readonly width: R["width"];
  /** In bytes. */
  readonly size: number;
  /** Bits that a write stores, as a value of the register; of a 64-bit register a bigint. */
  readonly writeMask: RawValue<R["width"]>;
  /** Bits that a write of 1 clears. */
  readonly clearMask: RawValue<R["width"]>;
  /** Its whole value in memory where the map begins at byte `base`. */
  read(memory: DataView, base?: number): RawValue<R["width"]>;
  /** Writes its whole value, whatever its access word says: for who owns the memory. */
  write(memory: DataView, value: RawValue<R["width"]>, base?: number): void;
}

/** A field of a register of a map. */
export interface FieldReference<F extends Field = Field, R extends Register = Register<8 | 16 | 32>> {
  /** The register that it is in. */
  readonly register: RegisterReference<R>;
  /** The field's name in the register. */
  readonly name: string;
  /** As it was described. */
  readonly field: F;
  /** What software may do to it. */
  readonly access: F["access"];
  /** Its highest bit. */
  readonly hi: number;
  /** Its lowest bit. */
  readonly lo: number;
  /** Its bits in a value of the register: not negative for bit 31, so compare `(raw & mask) !== 0`. */
  readonly mask: RawValue<R["width"]>;
  /** The byte of the map that holds the field's lowest bit, and the field's bits in that byte. */
  readonly byte: { readonly at: number; readonly mask: number };
  /** Its value in a value of the register. @throws TypeError or RangeError, as all three, for what is no value of the register */
  of(raw: RawValue<R["width"]>): FieldValue<F>;
  /** Its bits in a value of the register, as an unsigned number: of a named field the number that the name stands for. */
  bits(raw: RawValue<R["width"]>): number;
  /**
   * The register's value with another value of the field.
   * @throws TypeError or RangeError for what the field cannot hold, or is no value of the register
   */
  with(raw: RawValue<R["width"]>, value: FieldValue<F>): RawValue<R["width"]>;
  /** Its value in memory where the map begins at byte `base`. */
  read(memory: DataView, base?: number): FieldValue<F>;
  /** Writes its bits, whatever its access word says, and leaves the others. */
  write(memory: DataView, value: FieldValue<F>, base?: number): void;
}

/** Every `register.field` of a map. */
export type FieldPath<M extends Registers> = {
  [K in keyof M & string]: `${K}.${keyof M[K]["fields"] & string}`;
}[keyof M & string];
/** The field that a path names. */
export type FieldAt<M extends Registers, P extends string> = P extends `${infer K}.${infer F}`
  ? K extends keyof M
    ? F extends keyof M[K]["fields"]
      ? M[K]["fields"][F]
      : never
    : never
  : never;
/** The register that a path names. */
export type RegisterAt<M extends Registers, P extends string> = P extends `${infer K}.${string}`
  ? K extends keyof M
    ? M[K]
    : never
  : never;

const rawInto = (where: string, memory: DataView, at: number, width: Width, value: number | bigint): void => {
  checkRaw(where, width, value);
  if (typeof value === "bigint") memory.setBigUint64(at, value, true);
  else if (width === 8) memory.setUint8(at, value);
  else if (width === 16) memory.setUint16(at, value, true);
  else memory.setUint32(at, value, true);
};

/** What a reference is made from: a map's name, and its registers by theirs. */
export interface Referred {
  readonly name: string;
  find(register: string): Register | undefined;
}

/** See `RegisterMap.register`. @throws RangeError where the map has no such register */
export function registerReference(map: Referred, name: string): RegisterReference<Register> {
  const register = map.find(name);
  if (!register)
    throw new RangeError(`"${map.name}.${name}" must be a register: "${map.name}" has no register "${name}"`);
  const { at, width } = register;
  const where = `${map.name}.${name}`;
  const reference = {
    map: map.name,
    name,
    register,
    at,
    width,
    size: width / 8,
    // Worked out when asked for: most references are made at import, and few of them for this.
    get writeMask() {
      return maskOf(register, "store");
    },
    get clearMask() {
      return maskOf(register, "clear");
    },
    read: (memory: DataView, base = 0) => rawValue(register, memory, base),
    write: (memory: DataView, value: number | bigint, base = 0) =>
      rawInto(where, memory, base + at, width, value),
  };
  return Object.freeze(printsAs(reference, () => registerLine(where, register)));
}

/** See `RegisterMap.field`. @throws RangeError where the map has no such field */
export function fieldReference(map: Referred, path: string): FieldReference<Field, Register> {
  // A register of a group has a dot in its name: `table[3].low`.
  const dot = path.lastIndexOf(".");
  const register = registerReference(map, path.slice(0, dot));
  const name = path.slice(dot + 1);
  const { fields } = register.register;
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (!field)
    throw new RangeError(`"${map.name}.${path}" must be a field: "${map.name}" has no field "${path}"`);
  const { hi, lo, access } = field;
  const where = `${map.name}.${path}`;
  const wideMask = placedMask(field);
  const mask = Number(wideMask);
  // Any number would give some value: -1, 2.5 and what has too many bits are none of the register's.
  const registerPath = `${map.name}.${register.name}`;
  const check = (raw: number | bigint): void => checkRaw(registerPath, register.width, raw);
  const of = (raw: number | bigint) => {
    check(raw);
    return fieldValue(field, raw) as never;
  };
  const withValue = (raw: number | bigint, value: unknown): number | bigint => {
    check(raw);
    if (typeof raw === "bigint") return (raw & ~wideMask) | placedBits(where, field, value);
    const bits = field.big ? Number(placedBits(where, field, value)) : fieldBits(where, field, value) << lo;
    return ((raw & ~mask) | bits) >>> 0;
  };
  const reference = {
    register,
    name,
    field,
    access,
    hi,
    lo,
    mask: register.width === 64 ? wideMask : mask,
    byte: { at: register.at + (lo >>> 3), mask: Number((wideMask >> BigInt(lo & ~7)) & 0xffn) },
    of,
    bits: (raw: number | bigint) => {
      check(raw);
      return typeof raw === "bigint" ? Number((raw & wideMask) >> BigInt(lo)) : (raw & mask) >>> lo;
    },
    with: withValue,
    read: (memory: DataView, base = 0) => of(register.read(memory, base)),
    write: (memory: DataView, value: unknown, base = 0) =>
      register.write(memory, withValue(register.read(memory, base), value), base),
  };
  return Object.freeze(printsAs(reference, () => fieldLine(where, field)));
}

function maskOf(register: Register, write: WriteEffect): number | bigint {
  const { access, width, fields } = register;
  const does = (word: Access): boolean => accessWords[word].write === write;
  let mask = !hasFields(register) && does(access) ? (1n << BigInt(width)) - 1n : 0n;
  for (const field of Object.values(fields)) if (does(field.access)) mask |= placedMask(field);
  return width === 64 ? mask : Number(mask);
}
