import type { AddressAllocator } from "../seam/platform.ts";
import {
  alignDown,
  contains,
  formatRange,
  hex,
  isPowerOfTwo,
  type Range,
  toAddress,
  toRange,
} from "../address/range.ts";

/**
 * Hands out ranges of one window of addresses: from the top down, as firmware places BARs, so that the low end
 * stays in one piece. Ranges are given back exactly as they were taken.
 */
export class RangeAllocator implements AddressAllocator {
  readonly base: number;
  readonly size: number;
  /** Ascending, no two overlap. */
  readonly #taken: Range[] = [];

  /** @throws TypeError, RangeError if the window is empty or ends at or above 2^53 */
  constructor(base: number | bigint, size: number | bigint) {
    const window = toRange(base, size, "address window");
    if (window.size === 0) throw new RangeError("size of the address window must not be 0");
    this.base = window.base;
    this.size = window.size;
  }

  /** The ranges in use, ascending. */
  taken(): Range[] {
    return this.#taken.map((range) => ({ ...range }));
  }

  /**
   * What `allocate` would take; takes nothing.
   * @param size in bytes, 1 or more
   * @param alignment a power of two
   * @throws TypeError, RangeError
   */
  find(size: number, alignment: number): number | undefined {
    const wanted = this.#size(size);
    if (!isPowerOfTwo(toAddress(alignment, "alignment")))
      throw new RangeError(`alignment must be a power of two, not ${alignment}`);
    let gapEnd = this.base + this.size;
    for (let i = this.#taken.length - 1; i >= -1; i--) {
      const below = this.#taken[i];
      const gapBase = below ? below.base + below.size : this.base;
      if (gapEnd - gapBase >= wanted) {
        const address = alignDown(gapEnd - wanted, alignment);
        if (address >= gapBase) return address;
      }
      if (below) gapEnd = below.base;
    }
    return undefined;
  }

  /** The highest free range that fits. @throws TypeError, RangeError as `find` */
  allocate(size: number, alignment: number): number | undefined {
    const base = this.find(size, alignment);
    if (base !== undefined) this.#take(base, size);
    return base;
  }

  /** Whether the whole range is in the window and nobody has any of it. @throws TypeError, RangeError */
  isFree(base: number, size: number): boolean {
    const address = toAddress(base, "base");
    const wanted = this.#size(size);
    if (!contains(this, address, wanted)) return false;
    const at = this.#after(address);
    const below = this.#taken[at - 1];
    const above = this.#taken[at];
    return (!below || below.base + below.size <= address) && (!above || address + wanted <= above.base);
  }

  /** Takes exactly this range; false where it is not free or not in the window. @throws TypeError, RangeError */
  reserve(base: number, size: number): boolean {
    if (!this.isFree(base, size)) return false;
    this.#take(base, size);
    return true;
  }

  /** Gives back exactly a range taken before. @throws TypeError, RangeError; then nothing has changed */
  free(base: number, size: number): void {
    const address = toAddress(base, "base");
    const at = this.#after(address) - 1;
    const range = this.#taken[at];
    const wanted = this.#size(size);
    if (range?.base !== address)
      throw new RangeError(`cannot free ${hex(wanted)} bytes at ${hex(base)}: no range taken starts there`);
    if (range.size !== wanted)
      throw new RangeError(
        `cannot free ${hex(wanted)} bytes at ${hex(base)}: the range taken there is ${formatRange(range)}`,
      );
    this.#taken.splice(at, 1);
  }

  /** @param base of a range that is free */
  #take(base: number, size: number): void {
    // As numbers, also where somebody's JavaScript came with a bigint.
    const range = toRange(base, size);
    this.#taken.splice(this.#after(range.base), 0, range);
  }

  /** Index of the first taken range that starts above `address`. */
  #after(address: number): number {
    let low = 0;
    let high = this.#taken.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#taken[middle]!.base <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #size(size: number): number {
    const wanted = toAddress(size, "size");
    if (wanted === 0) throw new RangeError("size must be 1 or more, not 0");
    return wanted;
  }
}
