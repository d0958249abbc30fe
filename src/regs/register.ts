import type { Access } from "./access.ts";
import type { Field, Fields } from "./field.ts";
import { said } from "./said.ts";
import type { FieldTraits } from "./traits.ts";

/** Of a register, in bits. */
export type Width = 8 | 16 | 32 | 64;
/** A register's whole value: 64 bits exactly, as a bigint. */
export type RawValue<W extends Width> = W extends 64 ? bigint : number;

/** One register: where it lies in its map (bytes), its width (bits), and its fields or the access word of the whole. */
export interface Register<
  W extends Width = Width,
  A extends Access = Access,
  F extends Fields = Fields,
> extends FieldTraits {
  /** Its first byte in its map. */
  readonly at: number;
  /** In bits. */
  readonly width: W;
  /** Of the whole, where it has no fields. */
  readonly access: A;
  /** By name; none: the register is one value. */
  readonly fields: F;
  /** Value after a reset, where the specification fixes one for the whole; else fields may have their own, and the rest is 0. */
  readonly reset?: number | bigint | undefined;
  /** The registers of the same map whose bytes these are too, where that is meant; see `alias`. */
  readonly alias?: string | readonly string[] | undefined;
}
/** What `alias` can be said of: a register or a table. */
export interface Aliased {
  /** What it shares its bytes with on purpose, by name. */
  readonly alias?: string | readonly string[] | undefined;
}
/** The registers of a map by their names. */
export type Registers = Readonly<Record<string, Register>>;
/** Of a register that is one value. */
export type NoFields = Record<never, never>;

/** Describes a register: at which byte of its map, and its fields or the access word of the whole. */
export interface DefineRegister<W extends Width> {
  <A extends Access>(at: number, access: A, label?: string): Register<W, A, NoFields>;
  <const F extends Fields>(at: number, fields: F, label?: string): Register<W, "rw", F>;
}

const define = <W extends Width>(width: W): DefineRegister<W> =>
  ((at: number, what: Access | Fields, label?: string) =>
    typeof what === "string"
      ? { at, width, access: what, fields: {}, label }
      : { at, width, access: hasAny(what) ? "rw" : undefined, fields: what, label }) as DefineRegister<W>;

/** What has no field is no register either: it is left without an access word, and its map refuses it. */
const hasAny = (fields: Fields): boolean => {
  for (const _ in fields) return true;
  return false;
};

/** A register of 8 bits at byte `at` of its map. */
export const r8 = define(8);
/** A register of 16 bits at byte `at` of its map, little-endian. */
export const r16 = define(16);
/** A register of 32 bits at byte `at` of its map, little-endian. */
export const r32 = define(32);
/** A register of 64 bits at byte `at` of its map, little-endian. Its whole value is a bigint. */
export const r64 = define(64);

/**
 * Gives a register or a field its value after a reset: the whole value of a register, the value of a field.
 * @example
 * reset(0x100, r32(0x00, "rw"))
 * r32(0x00, { speed: reset("1Gb/s", rw(9, 8, ["10Mb/s", "100Mb/s", "1Gb/s"])) })
 */
export function reset<R extends Register>(value: number | bigint, register: R): R;
export function reset<A extends Access, V extends boolean | number | bigint | string>(
  value: NoInfer<V>,
  field: Field<A, V>,
): Field<A, V>;
export function reset(value: unknown, what: Register | Field): unknown {
  return { ...what, reset: value };
}

/**
 * Says that a register shares the bytes of the register `of` on purpose: another name for them, another width, or what a write
 * reaches where `of` is what a read gives; or that it is the same register at another place. A wide one names all that it covers,
 * a table the table that it repeats, a register of a group one of the same group. Without it registers that overlap are refused.
 * @example
 * registerMap("UART", 8, { receive: r8(0, "rc"), transmit: alias("receive", r8(0, "wo")) })
 * registerMap("pair", 8, { low: r32(0, "rw"), high: r32(4, "rw"), both: alias(["low", "high"], r64(0, "rw")) })
 */
export const alias = <R extends Aliased>(of: string | readonly string[], what: R): R => ({
  ...what,
  alias: of,
});

/** Whether a register is split into fields. */
export const hasFields = ({ fields }: Register): boolean => hasAny(fields);

/**
 * Checks the whole value that a register is to take.
 * @param name of the register and its map, for the message
 * @throws TypeError for what is no number, or for 64 bits no bigint; RangeError for what is no integer of `width` bits
 */
export function checkRaw(name: string, width: Width, value: unknown): void {
  const type = width === 64 ? "bigint" : "number";
  if (typeof value !== type) throw new TypeError(`"${name}" must be a ${type}, not ${said(value)}`);
  const fits =
    typeof value === "bigint"
      ? value >= 0n && value <= 0xffff_ffff_ffff_ffffn
      : Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** width;
  if (!fits) throw new RangeError(`"${name}" must be an integer of ${width} bits, not ${String(value)}`);
}
