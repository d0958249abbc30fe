import { intersects, type Range } from "./range.ts";

/** Ranges with something to each, no two overlapping, found by binary search. */
export class RangeTable<Entry extends Range> implements Iterable<Entry> {
  /** Ascending. */
  #entries: Entry[] = [];

  get length(): number {
    return this.#entries.length;
  }

  [Symbol.iterator](): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Index of the first entry that ends above `address`. */
  #from(address: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { base, size } = this.#entries[middle]!;
      if (address - base >= size) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The lowest entry that has an address in common with the range. */
  overlap(range: Range): Entry | undefined {
    const entry = this.#entries[this.#from(range.base)];
    return entry && intersects(entry, range) ? entry : undefined;
  }

  /** Every entry that has an address in common with the range, ascending. */
  overlaps(range: Range): Entry[] {
    const found: Entry[] = [];
    for (let i = this.#from(range.base); i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      if (!intersects(entry, range)) break;
      found.push(entry);
    }
    return found;
  }

  /** @throws RangeError if the entry is empty or overlaps another: who calls has asked before */
  insert(entry: Entry): void {
    if (entry.size <= 0 || this.overlap(entry))
      throw new RangeError("the entry is empty or overlaps another");
    this.#entries.splice(this.#from(entry.base), 0, entry);
  }

  /** Takes out entries that are there, given in ascending order. Neighbours cost what one costs, any others one pass. */
  delete(entries: readonly Entry[]): void {
    const [first] = entries;
    if (!first) return;
    const at = this.#from(first.base);
    if (this.#entries[at + entries.length - 1] === entries.at(-1)) {
      this.#entries.splice(at, entries.length);
      return;
    }
    const gone = new Set(entries);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
  }
}
