import { intersects, type Range } from "./range.ts";

interface Yielding extends Range {
  readonly giveWay: () => boolean;
}

/** Ranges that somebody keeps free of others for as long as no other wants them. */
export class YieldingRanges implements Iterable<Range> {
  readonly #ranges = new Set<Yielding>();

  /** The ranges, the oldest first. */
  *[Symbol.iterator](): Iterator<Range> {
    for (const { base, size } of this.#ranges) yield { base, size };
  }

  /**
   * Keeps a range.
   * @param giveWay called once it is wanted; false: it cannot be given, and stays
   * @returns ends it; undefined where another is kept that has part of it
   */
  keep({ base, size }: Range, giveWay: () => boolean): Disposable | undefined {
    const one = { base, size, giveWay };
    if (this.#ranges.values().some((other) => intersects(one, other))) return undefined;
    this.#ranges.add(one);
    return { [Symbol.dispose]: () => void this.#ranges.delete(one) };
  }

  /** Has all that is kept of a range given way. @returns what did not */
  makeWay(range: Range): Range | undefined {
    for (const one of [...this.#ranges]) {
      if (!intersects(one, range)) continue;
      if (!one.giveWay()) return { base: one.base, size: one.size };
      this.#ranges.delete(one);
    }
    return undefined;
  }

  clear(): void {
    this.#ranges.clear();
  }
}
