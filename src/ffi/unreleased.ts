import { messageOf } from "../regs/message-of.ts";
const nothing: readonly unknown[] = Object.freeze([]);

/**
 * Things that have to be given back to somebody who may refuse: a slot to the kernel, a range to the platform. What is refused
 * stays here, is told of once a cause, and is tried again with the next `settle`. Nothing is forgotten, and nothing told twice.
 */
export class Unreleased<T> implements Iterable<T> {
  /** In the order of `add`; the refusal that was told last. */
  readonly #items = new Map<T, string | undefined>();
  readonly #release: (item: T) => unknown;
  readonly #failed: ((item: T, cause: unknown) => void) | undefined;
  #settling = false;

  /**
   * Nothing is here yet.
   * @param release gives one back. It throws where that is refused, and returns `false` where the thing is still needed: it then
   * stays too, which is no failure. Whatever else it returns: the thing is gone
   * @param failed told of the first refusal of each thing, and of one with another cause than the last
   */
  constructor(release: (item: T) => unknown, failed?: (item: T, cause: unknown) => void) {
    this.#release = release;
    this.#failed = failed;
  }

  /** Keeps a thing for the next `settle`. One that is here already is kept once. */
  add(item: T): void {
    if (!this.#items.has(item)) this.#items.set(item, undefined);
  }

  /** Takes a thing out without giving it back: it is in use again. */
  delete(item: T): void {
    this.#items.delete(item);
  }

  /**
   * Tries to give back everything that is here, the newest first: what was made later may stand on what was made before.
   * Called from within itself, by what `release` does, it does nothing.
   * @returns why things were refused, this time, in the order of trying; with none, only what is still needed is left
   */
  settle(): readonly unknown[] {
    if (this.#items.size === 0 || this.#settling) return nothing;
    const causes: unknown[] = [];
    this.#settling = true;
    try {
      for (const item of [...this.#items.keys()].reverse()) this.#try(item, causes);
    } finally {
      this.#settling = false;
    }
    return causes;
  }

  #try(item: T, causes: unknown[]): void {
    try {
      if (this.#release(item) !== false) this.#items.delete(item);
    } catch (cause) {
      causes.push(cause);
      const told = this.#items.get(item);
      const why = messageOf(cause);
      this.#items.set(item, why);
      if (told !== why) this.#failed?.(item, cause);
    }
  }

  /** `settle`, for an owner's `dispose`. @throws the first refusal, after all has been tried: the next call tries again */
  settleOrThrow(): void {
    const causes = this.settle();
    if (causes.length > 0) throw causes[0];
  }

  /** How many are left. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether one of those that are left is such. */
  some(test: (item: T) => boolean): boolean {
    return this.#items.keys().some(test);
  }

  /** Those that are left, the oldest first. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#items.keys();
  }
}
