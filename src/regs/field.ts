import type { Access } from "./access.ts";
import type { Scale } from "./scale.ts";
import type { FieldTraits } from "./traits.ts";

export { emulated, hex, precious, volatile, type FieldTraits } from "./traits.ts";

/** Bits `hi` to `lo` of a register, both inclusive, counted from 0 as in a datasheet. */
export interface Field<A extends Access = Access, V = unknown> extends FieldTraits {
  /** Its highest bit. */
  readonly hi: number;
  /** Its lowest bit. */
  readonly lo: number;
  /** What software may do to it. */
  readonly access: A;
  /** Name of each value that has one. Of several that mean the same the first is written. */
  readonly values?: ValueNames | undefined;
  /** What its bits stand for; without it themselves. */
  readonly scale?: Scale | undefined;
  /** Its value is a bigint: for more than 53 bits. */
  readonly big?: boolean | undefined;
  /** Its value after a reset; without it that of its bits in the register's. */
  readonly reset?: boolean | number | bigint | string | undefined;
  /** Carries the value's type; never present at run time. */
  readonly $value?: V;
}
/** What values are called; where a specification gives several values one meaning, all of them. */
export type ValueNames = Readonly<Record<string, number | readonly number[]>>;
/** The fields of a register by their names. */
export type Fields = Readonly<Record<string, Field>>;

/** The type of a field's value: a boolean, a number, or one of its names; a bigint where `big` says so. */
export type FieldValue<F> = F extends Field<Access, infer V> ? V : never;

/** How a value that a named field's map does not name reads: its bits stay visible. */
export type Reserved = `reserved(${number})`;

/** One bit is a boolean, several bits a number, bits with named values a union of those names. */
export interface DefineField<A extends Access> {
  (bit: number, label?: string): Field<A, boolean>;
  <const B extends number>(
    hi: B & (number extends B ? never : unknown),
    lo: NoInfer<B>,
    label?: string,
  ): Field<A, boolean>;
  (hi: number, lo: number, label?: string): Field<A, number>;
  <const K extends string>(
    hi: number,
    lo: number,
    values: readonly K[] | Readonly<Record<K, number | readonly number[]>>,
    label?: string,
  ): Field<A, K | Reserved>;
}

function define<A extends Access>(access: A): DefineField<A> {
  return (hi: number, x?: unknown, y?: unknown, z?: unknown): Field<A, never> => {
    const lo = typeof x === "number" ? x : hi;
    const label = (typeof x === "string" ? x : typeof y === "string" ? y : z) as string | undefined;
    return { hi, lo, access, values: valueNames(typeof y === "string" ? undefined : y), label };
  };
}

/** A list names the values from 0 on. One that cannot stays as it is: the map refuses it, which knows whose it is. */
function valueNames(named: unknown): ValueNames | undefined {
  if (!Array.isArray(named)) return named as ValueNames | undefined;
  const isNaming = new Set(named).size === named.length && named.every((name) => typeof name === "string");
  return isNaming ? Object.fromEntries(named.map((name, value) => [name, value])) : (named as never);
}

/** Read-only: set by hardware. */
export const ro = define("ro");
/** Read-write. */
export const rw = define("rw");
/** Writing 1 clears the bit; a 0 leaves it alone. */
export const rw1c = define("rw1c");
/** Set by firmware or hardware, read-only afterwards. */
export const hwinit = define("hwinit");
/** Reserved: software writes back what it read. */
export const rsvdp = define("rsvdp");
/** Reserved: software writes 0. */
export const rsvdz = define("rsvdz");
/** Read-only, kept through a reset. */
export const ros = define("ros");
/** Read-write, kept through a reset. */
export const rws = define("rws");
/** Writing 1 clears the bit; kept through a reset. */
export const rw1cs = define("rw1cs");
/** Write-only: a read tells nothing of it. */
export const wo = define("wo");
/** Writing 1 sets the bit; a 0 leaves it alone. */
export const rw1s = define("rw1s");
/** Writing 0 clears the bit; a 1 leaves it alone. */
export const rw0c = define("rw0c");
/** Writing 1 inverts the bit; a 0 leaves it alone. */
export const rw1t = define("rw1t");
/** Writing 1 starts something; the bit goes back to 0 by itself. */
export const rwsc = define("rwsc");
/** A read clears it. */
export const rc = define("rc");
/** A read sets it. */
export const rs = define("rs");
/** A read clears it, and so does writing 1. */
export const rcw1c = define("rcw1c");

/**
 * A field that counts units. Its value is `bits * by`, and what is written must be a whole number of units. One bit counts
 * nothing: it is a boolean, or has names.
 * @example
 * scaled(ro(31, 3), 8) // an offset in bytes, stored in units of 8
 * scaled(rw(4, 0), 4096, { base: 2 }) // 4096 * 2^n bytes
 */
export const scaled = <A extends Access>(
  field: Field<A, number>,
  by: number,
  more: Omit<Scale, "by"> = {},
): Field<A, number> => ({ ...field, scale: { by, ...more } });

/** A field of more than 53 bits, or whose value may go beyond 2^53: it is a bigint. One bit is a boolean, and stays one. */
export const big = <A extends Access>(field: Field<A, number>): Field<A, bigint> => ({
  ...(field as Field<A, never>),
  big: true,
});
