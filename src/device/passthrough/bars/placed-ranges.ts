import type { TrappedRange } from "../../seam/platform.ts";

/** What of a device's BARs is in the guest's address space, for the trap path. */
export class PlacedRanges {
  #ranges: readonly TrappedRange[] = [];
  /** The range found last, since a driver goes on where it was; of size 0 for none. */
  #last: TrappedRange | undefined;
  #lastBase = 0;
  #lastSize = 0;

  set(ranges: readonly TrappedRange[]): void {
    this.#ranges = ranges;
    this.#lastSize = 0;
    this.#last = undefined;
  }

  /** The range that holds a guest address. A device has seven at most: a scan beats a search, and allocates nothing. */
  find(kind: "mmio" | "io", address: number): TrappedRange | undefined {
    const inLast = address - this.#lastBase;
    if (inLast >= 0 && inLast < this.#lastSize && this.#last!.kind === kind) return this.#last;
    for (const range of this.#ranges) {
      if (range.kind !== kind || address < range.base || address - range.base >= range.size) continue;
      this.#last = range;
      this.#lastBase = range.base;
      this.#lastSize = range.size;
      return range;
    }
    return undefined;
  }
}
