import type { Access } from "./access.ts";

/** What a register or one of its fields is, besides its bits and its access word. */
export interface Traits {
  /** The short name that PCI tools print, as `MaxPayload` or `BusMaster`; the property's own name without it. */
  readonly label?: string | undefined;
  /** May change without a write by the guest: read from the device each time. Without it a value is static between writes. */
  readonly volatile?: boolean | undefined;
  /** A read has a side effect on the device: never read in a dump or at attach. */
  readonly precious?: boolean | undefined;
  /** Owned by the passthrough model: the guest reads and writes the shadow, never the device. */
  readonly emulated?: boolean | undefined;
  /** Printed as hexadecimal. */
  readonly hex?: boolean | undefined;
}

/** Bits `hi` to `lo` of a register, both inclusive, counted from 0 as in a datasheet. */
export interface Field<A extends Access = Access, V = unknown> extends Traits {
  readonly hi: number;
  readonly lo: number;
  readonly access: A;
  /** Name of each value that has one. */
  readonly values?: Readonly<Record<string, number>> | undefined;
  /** Carries the value's type; never present at run time. */
  readonly $value?: V;
}
/** The fields of a register by their names. */
export type Fields = Readonly<Record<string, Field>>;

/** The type of a field's value: a boolean, a number, or one of its names. */
export type FieldValue<F> = F extends Field<Access, infer V> ? V : never;

/** How a value that a named field's map does not name reads: its bits stay visible. */
export type Reserved = `reserved(${number})`;

/** One bit is a boolean, several bits a number, bits with named values a union of those names. */
export interface DefineField<A extends Access> {
  (bit: number, label?: string): Field<A, boolean>;
  (hi: number, lo: number, label?: string): Field<A, number>;
  <const K extends string>(
    hi: number,
    lo: number,
    values: readonly K[] | Readonly<Record<K, number>>,
    label?: string,
  ): Field<A, K | Reserved>;
}

function define<A extends Access>(access: A): DefineField<A> {
  return (hi: number, x?: unknown, y?: unknown, z?: unknown): Field<A, never> => {
    const lo = typeof x === "number" ? x : hi;
    const named =
      typeof y === "object" && y !== null ? (y as readonly string[] | Record<string, number>) : undefined;
    const label = (typeof x === "string" ? x : typeof y === "string" ? y : z) as string | undefined;
    const values = Array.isArray(named)
      ? Object.fromEntries(named.map((name: string, value): [string, number] => [name, value]))
      : (named as Record<string, number> | undefined);
    return { hi, lo, access, values, label };
  };
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

/** Marks bits that the device may change by itself. */
export const volatile = <T extends Traits>(what: T): T => ({ ...what, volatile: true });
/** Marks bits whose read has a side effect. */
export const precious = <T extends Traits>(what: T): T => ({ ...what, precious: true, volatile: true });
/** Marks bits that the passthrough model serves itself. */
export const emulated = <T extends Traits>(what: T): T => ({ ...what, emulated: true });
/** Has a value printed as hexadecimal. */
export const hex = <T extends Traits>(what: T): T => ({ ...what, hex: true });

/** All ones in `hi - lo + 1` bits; at most 32 of them. */
export function fieldMask(field: { readonly hi: number; readonly lo: number }): number {
  return 2 ** (field.hi - field.lo + 1) - 1;
}

/** The value of a field in a raw register of up to 32 bits: boolean, number, name, or `reserved(n)`. */
export function fieldValue(field: Field, raw: number): boolean | number | string {
  const bits = ((raw >>> field.lo) & fieldMask(field)) >>> 0;
  if (field.values) {
    for (const name in field.values) if (field.values[name] === bits) return name;
    return `reserved(${bits})`;
  }
  return field.hi === field.lo ? bits !== 0 : bits;
}

const reservedPattern = /^reserved\((\d+)\)$/;

/**
 * The bits that a field's value stands for.
 * @throws RangeError for a name that the field does not have, or a number that does not fit; TypeError for another type.
 */
export function fieldBits(name: string, field: Field, value: unknown): number {
  const limit = fieldMask(field);
  let bits: number;
  if (field.values) {
    if (typeof value !== "string")
      throw new TypeError(`"${name}" expects one of its names, got ${typeof value}`);
    const reserved = reservedPattern.exec(value);
    const known = Object.hasOwn(field.values, value) ? field.values[value] : undefined;
    if (known === undefined && !reserved)
      throw new RangeError(
        `"${name}" has no value "${value}"; it has ${Object.keys(field.values).join(", ")}`,
      );
    bits = known ?? Number(reserved![1]);
  } else if (field.hi === field.lo) {
    if (typeof value !== "boolean")
      throw new TypeError(`"${name}" is one bit: expects a boolean, got ${typeof value}`);
    bits = value ? 1 : 0;
  } else {
    if (typeof value !== "number") throw new TypeError(`"${name}" expects a number, got ${typeof value}`);
    bits = value;
  }
  if (!Number.isInteger(bits) || bits < 0 || bits > limit)
    throw new RangeError(`"${name}" expects an integer from 0 to ${limit}, got ${String(value)}`);
  return bits;
}
