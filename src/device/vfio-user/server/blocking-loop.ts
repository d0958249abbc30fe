// Time and descriptors of a device in a thread that blocks: what is due is done between two messages.
import { PollSet } from "../../../ffi/poll.ts";

interface Timer {
  /** On the clock of `performance.now`, in milliseconds. */
  readonly due: number;
  readonly callback: () => void;
}

/** A device's timers and descriptors at most; more are refused. */
const maxWatches = 256;

/** Waits for a connection, and for what a device waits for. */
export class BlockingLoop {
  readonly #timers = new Set<Timer>();
  readonly #watches = new Map<number, () => void>();
  readonly #poll = new PollSet(maxWatches + 1);
  readonly #onError: (error: unknown) => void;

  /** @param onError hears of what a callback throws */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Whether nothing but the connection is waited for. */
  get isIdle(): boolean {
    return this.#timers.size === 0 && this.#watches.size === 0;
  }

  /** As `DeviceEnvironment.after`. */
  after(milliseconds: number, callback: () => void): Disposable {
    const timer = { due: performance.now() + milliseconds, callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** As `DeviceEnvironment.watch`. @throws RangeError for a descriptor that is watched, or one too many */
  watch(fd: number, callback: () => void): Disposable {
    if (this.#watches.has(fd)) throw new RangeError(`descriptor ${fd} is watched already`);
    if (this.#watches.size >= maxWatches)
      throw new RangeError(`a device must watch ${maxWatches} descriptors at most`);
    this.#watches.set(fd, callback);
    return {
      [Symbol.dispose]: () => {
        if (this.#watches.get(fd) === callback) this.#watches.delete(fd);
      },
    };
  }

  /**
   * Waits until `fd` can be read, and meanwhile does what is due.
   * @param milliseconds at most @returns false where it cannot be read in time
   */
  wait(fd: number, milliseconds = Infinity): boolean {
    const end = performance.now() + milliseconds;
    for (;;) {
      this.#runTimers();
      const watched = [...this.#watches];
      this.#poll.set(fd, ...watched.map(([one]) => one));
      const now = performance.now();
      const next = Math.min(end, ...[...this.#timers].map(({ due }) => due));
      this.#poll.wait(Math.max(0, next - now));
      const isReady = this.#poll.isReady(0);
      const ready = watched.filter((_, i) => this.#poll.isReady(i + 1));
      for (const [one, callback] of ready) if (this.#watches.get(one) === callback) this.#call(callback);
      if (isReady) return true;
      if (performance.now() >= end) return false;
    }
  }

  #runTimers(): void {
    const now = performance.now();
    const due = [...this.#timers].filter((timer) => timer.due <= now).sort((a, b) => a.due - b.due);
    for (const timer of due) if (this.#timers.delete(timer)) this.#call(timer.callback);
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#onError(error);
    }
  }
}
