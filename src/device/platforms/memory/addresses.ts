import { RangeAllocator } from "../range-allocator.ts";
import type { AddressAllocator } from "../../seam/platform.ts";
import type { Range } from "../../address/range.ts";
import type { AddressSpace } from "./action.ts";
import type { Journal } from "./journal.ts";

/** A `RangeAllocator` that records. An allocation or reservation that finds no room is an answer and leaves no record. */
export class RecordedAllocator implements AddressAllocator {
  readonly base: number;
  readonly size: number;
  readonly #journal: Journal;
  readonly #space: AddressSpace;
  #ranges: RangeAllocator;

  constructor(journal: Journal, space: AddressSpace, window: Range) {
    this.#journal = journal;
    this.#space = space;
    this.#ranges = new RangeAllocator(window.base, window.size);
    this.base = this.#ranges.base;
    this.size = this.#ranges.size;
  }

  allocate(size: number, alignment: number): number | undefined {
    const base = this.#ranges.find(size, alignment);
    if (base !== undefined)
      this.#journal.perform({ kind: "address-allocate", space: this.#space, base, size }, () =>
        this.#ranges.reserve(base, size),
      );
    return base;
  }

  reserve(base: number, size: number): boolean {
    if (!this.#ranges.isFree(base, size)) return false;
    return this.#journal.perform({ kind: "address-reserve", space: this.#space, base, size }, () =>
      this.#ranges.reserve(base, size),
    );
  }

  free(base: number, size: number): void {
    this.#journal.check();
    // Asked for first: a free that is refused anyway must not use up a fault meant for one that is not.
    if (!this.#ranges.taken().some((range) => range.base === base && range.size === size)) {
      this.#ranges.free(base, size);
      return;
    }
    this.#journal.perform({ kind: "address-free", space: this.#space, base, size }, () =>
      this.#ranges.free(base, size),
    );
  }

  /** The ranges in use, ascending. */
  state(): Range[] {
    return this.#ranges.taken();
  }

  clear(): void {
    this.#ranges = new RangeAllocator(this.base, this.size);
  }
}
