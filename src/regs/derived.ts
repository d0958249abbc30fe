// Values that no single field holds: one number in several registers, and what several fields mean together.
import type { AnyFieldValue } from "./field-value.ts";
import type { Scale } from "./scale.ts";

/** A value as data: what `composed` may make of fields. */
export type ComposedValue =
  boolean | number | string | null | readonly ComposedValue[] | { readonly [name: string]: ComposedValue };

/** How a derived value is printed. */
export interface DerivedTraits {
  /** What lspci calls it, or a datasheet. */
  readonly label?: string | undefined;
  /** Whether it is printed in hexadecimal. */
  readonly hex?: boolean | undefined;
  /** Behind the value, as `W`. */
  readonly unit?: string | undefined;
}

/** One number whose bits lie in several registers or fields. */
export interface Joined<
  V extends number | bigint = number | bigint,
  P extends string = string,
> extends DerivedTraits {
  /** What kind of entry it is. */
  readonly kind: "joined";
  /** Registers and `register.field`s of the same map, the highest bits first. */
  readonly parts: readonly P[];
  /** What its number counts. */
  readonly scale: Scale;
  /** Whether its value is a bigint. */
  readonly big?: boolean | undefined;
  /** Carries the value's type; never present at run time. */
  readonly $value?: V;
}
/** What fields of a map mean together. */
export interface Composed<V = unknown, P extends string = string> extends DerivedTraits {
  /** What kind of entry it is. */
  readonly kind: "composed";
  /** Registers and `register.field`s of the same map. */
  readonly from: readonly P[];
  /** Of the bits of each; undefined where they mean nothing. */
  readonly compute: (...bits: number[]) => V | undefined;
  /** The bits are given as bigints: a part has more than 53. */
  readonly big?: boolean | undefined;
  /** How many of `from`, the first of them, it cannot do without where nobody read the others; all unless given. */
  readonly needed?: number | undefined;
  /** The value in words, where its own text does not do. */
  text?(value: V): string;
  /** Carries the value's type; never present at run time. */
  readonly $value?: V;
}
/** A value of several fields. */
export type Derived = Joined | Composed;

/** What `joined` may be told besides its parts. */
export interface JoinedOptions extends DerivedTraits {
  /** What the number counts: 1 without it. */
  readonly by?: number | undefined;
  /** Added last: the low bits that a limit has set. */
  readonly plus?: number | undefined;
}

/**
 * One number whose bits lie in several registers or fields of the map, the highest bits first.
 * @example
 * // Bits 31:16 in one register, 15:12 in a field of another: an address in units of 4 KiB.
 * ioBaseAddress: joined(["ioBaseUpper", "ioBase.address"], { by: 0x1000 })
 */
export const joined = <const P extends string>(
  parts: readonly P[],
  { by = 1, plus, ...traits }: JoinedOptions = {},
): Joined<number, P> => ({ kind: "joined", parts, scale: { by, plus }, ...traits });

/** A `joined` number that may go beyond 2^53: it is a bigint. */
export const joinedBig = <const P extends string>(
  parts: readonly P[],
  { by = 1, plus, ...traits }: JoinedOptions = {},
): Joined<bigint, P> => ({ kind: "joined", parts, scale: { by, plus }, big: true, ...traits });

/**
 * What fields mean together, worked out from the bits of each: read-only.
 * @example
 * slotPower: composed(["slot.limit", "slot.scale"], (limit, scale) => limit / 10 ** scale, { unit: "W" })
 */
export const composed = <V extends ComposedValue, const P extends string>(
  from: readonly P[],
  compute: (...bits: number[]) => V | undefined,
  traits: DerivedTraits & Pick<Composed<V, P>, "needed"> & { readonly text?: (value: V) => string } = {},
): Composed<V, P> => ({ kind: "composed", from, compute: compute as Composed<V, P>["compute"], ...traits });

/** A `composed` value of parts that may go beyond 2^53: the bits of each are a bigint. */
export const composedBig = <V extends ComposedValue, const P extends string>(
  from: readonly P[],
  compute: (...bits: bigint[]) => V | undefined,
  traits: DerivedTraits & Pick<Composed<V, P>, "needed"> & { readonly text?: (value: V) => string } = {},
): Composed<V, P> => ({
  kind: "composed",
  from,
  compute: compute as unknown as Composed<V, P>["compute"],
  big: true,
  ...traits,
});

/** The value of a derived entry. */
export type DerivedValue<D> =
  D extends Joined<infer V, string> ? V : D extends Composed<infer V, string> ? V | undefined : never;
/** Any value that a map tells of. */
export type AnyValue = AnyFieldValue | ComposedValue | undefined;
