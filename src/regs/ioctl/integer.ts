import { hex } from "../hex-text.ts";
// The check that a value fits the integer that holds it, before a kernel is asked anything: typed arrays and DataViews cut
// what does not, so that 2^32 + 3 would become 3, and name another object.

/** What an integer may be. Both ends are included. */
export interface IntegerRange {
  /** For the message: a member by its path, as `iommu_destroy.id`, or what a request's plain argument is. */
  readonly name: string;
  /** 1 to 4 bytes take a number, 8 take a bigint or a number that is exact. */
  readonly bytes: 1 | 2 | 4 | 8;
  /** The least that fits. */
  readonly min: number | bigint;
  /** The most that fits. */
  readonly max: number | bigint;
}

/** The range of a C integer type. @param name for the message */
export function integerRange(name: string, bytes: 1 | 2 | 4 | 8, signed: boolean): IntegerRange {
  const bits = BigInt(8 * bytes);
  const min = signed ? -(1n << (bits - 1n)) : 0n;
  const max = (1n << (signed ? bits - 1n : bits)) - 1n;
  return bytes === 8 ? { name, bytes, min, max } : { name, bytes, min: Number(min), max: Number(max) };
}

/** A `__u32` by its name. */
export const uint32 = (name: string): IntegerRange => integerRange(name, 4, false);
/** A `__s32` by its name: a file descriptor, or -1. */
export const int32 = (name: string): IntegerRange => integerRange(name, 4, true);
/** A `__u64` by its name. */
export const uint64 = (name: string): IntegerRange => integerRange(name, 8, false);

/**
 * The value, if it is an integer of the range.
 * @throws TypeError for another type than the range takes @throws RangeError for a fraction, NaN, and what is outside
 */
export function checked(value: number, range: IntegerRange): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= range.min && value <= range.max)
    return value;
  throw refusal(value, range);
}

/** As `checked`, of 64 bits: a number must be exact, so below 2^53. */
export function checkedWide(value: number | bigint, range: IntegerRange): bigint {
  if (typeof value === "bigint" ? value >= range.min && value <= range.max : Number.isSafeInteger(value)) {
    const exact = BigInt(value);
    if (exact >= range.min) return exact;
  }
  throw refusal(value, range);
}

function refusal(value: unknown, { name, bytes, min, max }: IntegerRange): Error {
  const wide = bytes === 8;
  if (typeof value !== "number" && !(wide && typeof value === "bigint"))
    return new TypeError(
      `${name} must be ${wide ? "a bigint or a number" : "a number"}, not ${kindOf(value)}`,
    );
  return new RangeError(
    `${name} must be an integer from ${signedHex(min)} to ${signedHex(max)}, not ${value}`,
  );
}

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);
const signedHex = (value: number | bigint): string =>
  value < 0 ? `-${hex(-value)}` : value === 0 || value === 0n ? "0" : hex(value);
