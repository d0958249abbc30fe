import { RangeAllocator } from "../range-allocator.ts";
import type { AddressAllocator } from "../../seam/platform.ts";
import type { Range } from "../../address/range.ts";
import type { AddressWindow } from "./action.ts";
import type { Journal } from "./journal.ts";

/** A `RangeAllocator` that records. An allocation or reservation that finds no room is an answer and leaves no record. */
export class RecordedAllocator implements AddressAllocator {
  readonly base: number;
  readonly size: number;
  readonly #journal: Journal;
  readonly #window: AddressWindow;
  #ranges: RangeAllocator;

  constructor(journal: Journal, window: AddressWindow, range: Range) {
    this.#journal = journal;
    this.#window = window;
    this.#ranges = new RangeAllocator(range.base, range.size);
    this.base = this.#ranges.base;
    this.size = this.#ranges.size;
  }

  allocate(size: number, alignment: number): number | undefined {
    const base = this.#ranges.find(size, alignment);
    if (base !== undefined)
      this.#journal.perform({ kind: "address-allocate", window: this.#window, base, size }, () =>
        this.#ranges.reserve(base, size),
      );
    return base;
  }

  reserve(base: number, size: number): boolean {
    if (!this.#ranges.isFree(base, size)) return false;
    return this.#journal.perform({ kind: "address-reserve", window: this.#window, base, size }, () =>
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
    this.#journal.perform({ kind: "address-free", window: this.#window, base, size }, () =>
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
