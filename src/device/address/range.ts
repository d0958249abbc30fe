// Arithmetic on addresses and ranges of them. Addresses are numbers below 2^53, where every integer is exact;
// a bitwise operator would cut them to 32 bits, so none stands here.
import { hex } from "../../regs/hex-text.ts";

export { hex };

/** `size` bytes (or ports) from `base`; the end is below 2^53. */
export interface Range {
  /** The first address. */
  readonly base: number;
  /** In bytes, or ports. */
  readonly size: number;
}

/** A range for a message, its last byte included: `0xfebf0000-0xfebf3fff`; an empty one as `0xfebf0000+0`. */
export const formatRange = ({ base, size }: Range): string =>
  size > 0 ? `${hex(base)}-${hex(base + size - 1)}` : `${hex(base)}+0`;

/**
 * Takes an address or size where it enters the library.
 * @param name what the value is, for the message
 * @throws TypeError if it is neither a number nor a bigint
 * @throws RangeError if it is not an integer from 0 to 2^53 - 1
 */
export function toAddress(value: number | bigint, name = "address"): number {
  if (typeof value !== "number" && typeof value !== "bigint")
    throw new TypeError(
      `${name} must be a number or a bigint, not ${value === null ? "null" : typeof value}`,
    );
  if (value < 0 || value > Number.MAX_SAFE_INTEGER || (typeof value === "number" && !Number.isInteger(value)))
    throw new RangeError(`${name} must be an integer from 0 to 2^53 - 1, not ${value}`);
  return Number(value) + 0; // -0 becomes 0
}

/**
 * A range, checked.
 * @param name what the range is, for the message
 * @throws TypeError, RangeError as `toAddress`, and RangeError if it ends at or above 2^53
 */
export function toRange(base: number | bigint, size: number | bigint, name = "range"): Range {
  const range = {
    base: toAddress(base, `base of the ${name}`),
    size: toAddress(size, `size of the ${name}`),
  };
  rangeEnd(range);
  return range;
}

/**
 * The part of a range that lies below 2^53, where everything is that this library maps: of a guest's request, which may be of
 * all 64 bits. Empty for one that lies above.
 * @throws TypeError, RangeError for what is no integer of at least 0
 */
export function cutRange(base: number | bigint, size: number | bigint, name = "range"): Range {
  const exact = (value: number | bigint, part: string): bigint => {
    const isWhole = typeof value === "bigint" || Number.isInteger(value);
    // What is wrong with it `toAddress` says.
    return isWhole && value >= 0 ? BigInt(value) : BigInt(toAddress(value, `${part} of the ${name}`));
  };
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  const start = exact(base, "base");
  const end = start + exact(size, "size");
  if (start >= limit) return { base: Number.MAX_SAFE_INTEGER, size: 0 };
  return { base: Number(start), size: Number((end < limit ? end : limit) - start) };
}

/** The first address behind a range. @throws RangeError if it is not below 2^53 */
export function rangeEnd({ base, size }: Range): number {
  // Not `base + size > limit`: the sum may already be rounded.
  if (size > Number.MAX_SAFE_INTEGER - base)
    throw new RangeError(`a range of ${hex(size)} bytes from ${hex(base)} ends above 2^53 - 1`);
  return base + size;
}

/** Whether `size` bytes from `address` lie in the range, all of them; an empty access lies where its address does. */
export function contains(range: Range, address: number, size = 1): boolean {
  // Differences only: nothing here can leave the exact numbers.
  return (
    address >= range.base && address - range.base <= range.size - size && address - range.base < range.size
  );
}

/** Whether two ranges have an address in common; an empty range has none. */
export function intersects(a: Range, b: Range): boolean {
  if (a.size === 0 || b.size === 0) return false;
  return a.base <= b.base ? b.base - a.base < a.size : a.base - b.base < b.size;
}

/** Whether `value` is 1, 2, 4 ... up to 2^52. */
export function isPowerOfTwo(value: number): boolean {
  if (!Number.isSafeInteger(value) || value < 1) return false;
  let rest = value;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}

function checkAlignment(alignment: number): void {
  if (!isPowerOfTwo(alignment)) throw new RangeError(`alignment must be a power of two, not ${alignment}`);
}

/** Whether `value` is a multiple of `alignment`. @throws RangeError if that is not a power of two */
export function isAligned(value: number, alignment: number): boolean {
  checkAlignment(alignment);
  return value % alignment === 0;
}

/** The highest multiple of `alignment` that is not above `value`. @throws RangeError if it is not a power of two */
export function alignDown(value: number, alignment: number): number {
  checkAlignment(alignment);
  return value - (value % alignment);
}

/**
 * The lowest multiple of `alignment` that is not below `value`.
 * @throws RangeError if that is not a power of two, or the result is not below 2^53
 */
export function alignUp(value: number, alignment: number): number {
  checkAlignment(alignment);
  const over = value % alignment;
  return over === 0 ? value : rangeEnd({ base: value, size: alignment - over });
}

/** What is left of a range without the holes: in ascending order, none empty. Holes may overlap and reach outside. */
export function subtract(range: Range, holes: readonly Range[]): Range[] {
  const left: Range[] = [];
  const end = rangeEnd(range);
  let at = range.base;
  for (const hole of [...holes].sort((a, b) => a.base - b.base)) {
    const holeEnd = rangeEnd(hole);
    if (hole.size === 0 || holeEnd <= at) continue;
    if (hole.base >= end) break;
    if (hole.base > at) left.push({ base: at, size: hole.base - at });
    at = holeEnd;
  }
  if (at < end) left.push({ base: at, size: end - at });
  return left;
}
