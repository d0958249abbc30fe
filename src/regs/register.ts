import type { Access } from "./access.ts";
import type { Fields, Traits } from "./field.ts";

/** Of a register, in bits. */
export type Width = 8 | 16 | 32 | 64;
/** A register's whole value: 64 bits exactly, as a bigint. */
export type Raw<W extends Width> = W extends 64 ? bigint : number;

/** One register: where it lies in its map (bytes), its width (bits), and its fields or the access word of the whole. */
export interface Register<
  W extends Width = Width,
  A extends Access = Access,
  F extends Fields = Fields,
> extends Traits {
  readonly at: number;
  readonly width: W;
  readonly access: A;
  readonly fields: F;
  /** Value after a reset, where the specification fixes one. */
  readonly reset: number;
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
      ? { at, width, access: what, fields: {}, reset: 0, label }
      : { at, width, access: "rw", fields: what, reset: 0, label }) as DefineRegister<W>;

/** A register of 8 bits at byte `at` of its map. */
export const r8 = define(8);
/** A register of 16 bits at byte `at` of its map, little-endian. */
export const r16 = define(16);
/** A register of 32 bits at byte `at` of its map, little-endian. */
export const r32 = define(32);
/** A register of 64 bits at byte `at` of its map, little-endian. It has no fields, and its value is a bigint. */
export const r64 = define(64);

/** Gives a register its value after reset. */
export const reset = <R extends Register>(value: number, register: R): R => ({ ...register, reset: value });

/** Whether a register is split into fields. */
export const hasFields = (register: Register): boolean => {
  for (const _ in register.fields) return true;
  return false;
};

/**
 * Checks the whole value that a register is to take.
 * @throws TypeError for what is no number, or for 64 bits no bigint; RangeError for what is no integer of `width` bits
 */
export function checkRaw(name: string, width: Width, value: unknown): void {
  const type = width === 64 ? "bigint" : "number";
  if (typeof value !== type) throw new TypeError(`"${name}" expects a ${type}, got ${typeof value}`);
  const fits =
    typeof value === "bigint"
      ? value >= 0n && value <= 0xffff_ffff_ffff_ffffn
      : Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** width;
  if (!fits) throw new RangeError(`"${name}" expects an integer of ${width} bits, got ${String(value)}`);
}
