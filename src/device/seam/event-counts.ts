import { isPowerOfTwo } from "../address/range.ts";

/** So many events of a kind are told one by one. */
const reportLimit = 100;

/**
 * Which events of a flood are told: a guest can cause as many as it likes, and each costs whoever hears them. Of each kind
 * the first 100 are, then the 128th, the 256th, and so on at each power of two.
 */
export class EventCounts {
  readonly #counts = new Map<string, number>();

  /** Counts an event. @returns how many of its kind there were so far, with this one; undefined if it is not told */
  next(kind: string): number | undefined {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return count <= reportLimit || isPowerOfTwo(count) ? count : undefined;
  }
}
