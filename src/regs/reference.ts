// References to a register or a field by its name in a map. They carry what a bare number would leave to be known:
// offset, width, masks, access. Code that takes a reference cannot be given a number of its own.
import { accessWords, type Access } from "./access.ts";
import { fieldBits, fieldMask, fieldValue, type Field, type FieldValue } from "./field.ts";
import type { RegisterBlock } from "./block.ts";
import { hasFields, type Raw, type Register, type Registers, type Width } from "./register.ts";

/** A register of a map. */
export interface RegisterReference<R extends Register = Register> {
  /** The map's name. */
  readonly map: string;
  /** The register's name in the map. */
  readonly name: string;
  readonly register: R;
  /** Byte offset in the map. */
  readonly at: number;
  /** In bits. */
  readonly width: R["width"];
  /** In bytes. */
  readonly size: number;
  /** Bits that a write stores, as a value of the register; of a 64-bit register a bigint. */
  readonly writeMask: Raw<R["width"]>;
  /** Bits that a write of 1 clears. */
  readonly clearMask: Raw<R["width"]>;
  /** Its whole value in memory where the map begins at byte `base`. */
  read(memory: DataView, base?: number): Raw<R["width"]>;
  /** Writes its whole value, whatever its access word says: for who owns the memory. */
  write(memory: DataView, value: Raw<R["width"]>, base?: number): void;
}

/** A field of a register of a map. */
export interface FieldReference<F extends Field = Field, R extends Register = Register> {
  readonly register: RegisterReference<R>;
  /** The field's name in the register. */
  readonly name: string;
  readonly field: F;
  readonly access: F["access"];
  readonly hi: number;
  readonly lo: number;
  /** Its bits in a value of the register: not negative for bit 31, so compare `(raw & mask) !== 0`. */
  readonly mask: number;
  /** The byte of the map that holds the field's lowest bit, and the field's bits in that byte. */
  readonly byte: { readonly at: number; readonly mask: number };
  /** Its value in a value of the register. */
  of(raw: number): FieldValue<F>;
  /**
   * The register's value with another value of the field.
   * @throws TypeError or RangeError for what the field cannot hold
   */
  with(raw: number, value: FieldValue<F>): number;
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

const rawIn = (memory: DataView, at: number, width: Width): number | bigint => {
  if (width === 8) return memory.getUint8(at);
  if (width === 16) return memory.getUint16(at, true);
  return width === 32 ? memory.getUint32(at, true) : memory.getBigUint64(at, true);
};
const rawInto = (memory: DataView, at: number, width: Width, value: number | bigint): void => {
  if (typeof value === "bigint") memory.setBigUint64(at, value, true);
  else if (width === 8) memory.setUint8(at, value);
  else if (width === 16) memory.setUint16(at, value, true);
  else memory.setUint32(at, value, true);
};

/** See `RegisterMap.register`. @throws RangeError where the map has no such register */
export function registerReference(map: RegisterBlock, name: string): RegisterReference {
  const register = Object.hasOwn(map.registers, name) ? map.registers[name] : undefined;
  if (!register) throw new RangeError(`${map.name} has no register "${name}"`);
  const { at, width } = register;
  return Object.freeze({
    map: map.name,
    name,
    register,
    at,
    width,
    size: width / 8,
    writeMask: maskOf(register, "store"),
    clearMask: maskOf(register, "clear"),
    read: (memory: DataView, base = 0) => rawIn(memory, base + at, width) as never,
    write: (memory: DataView, value: number | bigint, base = 0) => rawInto(memory, base + at, width, value),
  });
}

/** See `RegisterMap.field`. @throws RangeError where the map has no such field */
export function fieldReference(map: RegisterBlock, path: string): FieldReference {
  const dot = path.indexOf(".");
  const register = registerReference(map, path.slice(0, dot));
  const name = path.slice(dot + 1);
  const { fields } = register.register;
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (!field) throw new RangeError(`${map.name} has no field "${path}"`);
  const { hi, lo, access } = field;
  const bits = fieldMask(field);
  const mask = bits * 2 ** lo;
  const of = (raw: number) => fieldValue(field, raw) as never;
  const withValue = (raw: number, value: unknown): number =>
    ((raw & ~mask) | (fieldBits(`${map.name}.${path}`, field, value) * 2 ** lo)) >>> 0;
  return Object.freeze({
    register,
    name,
    field,
    access,
    hi,
    lo,
    mask,
    byte: { at: register.at + (lo >>> 3), mask: (bits * 2 ** (lo & 7)) & 0xff },
    of,
    with: withValue,
    read: (memory: DataView, base = 0) => of(register.read(memory, base) as number),
    write: (memory: DataView, value: unknown, base = 0) =>
      register.write(memory, withValue(register.read(memory, base) as number, value) as never, base),
  });
}

function maskOf({ access, width, fields, ...register }: Register, write: "store" | "clear"): never {
  const does = (word: Access): boolean => accessWords[word].write === write;
  let mask = 0n;
  if (!hasFields({ access, width, fields, ...register }))
    mask = does(access) ? (1n << BigInt(width)) - 1n : 0n;
  for (const field of Object.values(fields))
    if (does(field.access)) mask |= BigInt(fieldMask(field)) << BigInt(field.lo);
  return (width === 64 ? mask : Number(mask)) as never;
}
