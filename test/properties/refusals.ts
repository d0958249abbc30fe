// Which of many calls are refused: as data, so that the fewest that do harm are found.
import fc from "fast-check";

/** How many calls go through between two that are refused. After the last of them all go through. */
export const anyRefusals = (most: number): fc.Arbitrary<number[]> =>
  fc.array(fc.nat(most), { maxLength: 60, size: "max" });

export class Refusals {
  readonly #gaps: readonly number[];
  #next = 0;
  #left: number;

  constructor(gaps: readonly number[]) {
    this.#gaps = gaps;
    this.#left = gaps[0] ?? Infinity;
  }

  /** Whether the call that comes now is refused. */
  next(): boolean {
    if (this.#left-- > 0) return false;
    this.#left = this.#gaps[++this.#next] ?? Infinity;
    return true;
  }
}
