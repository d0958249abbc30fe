// Where a modelled device lives in a test or in its own process: memory of an array, and time that the event loop or a test moves.
import { VfioError } from "../../../ffi/errors.ts";
import { AioPoll } from "../../../ffi/aio-poll.ts";
import type { Range } from "../../address/range.ts";
import type { DeviceEnvironment, DeviceMemory } from "../../seam/device-memory.ts";
import { hex } from "../../../regs/hex-text.ts";

/** Memory of this process that a device reaches from an IOVA on. */
export class LocalMemory implements DeviceMemory {
  /** The bytes themselves. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** IOVA of the first. */
  readonly base: number;
  readonly #listeners = new Set<(range: Range) => void>();

  /** Zeros at first. @param size in bytes @param base IOVA of the first byte */
  constructor(size: number, base = 0) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.base = base;
  }

  #part(iova: number, size: number): Uint8Array<ArrayBuffer> {
    const from = iova - this.base;
    if (!Number.isSafeInteger(iova) || from < 0 || from + size > this.bytes.length)
      throw new VfioError(`no memory at IOVA ${hex(iova)}, ${size} bytes`, { code: "EFAULT" });
    return this.bytes.subarray(from, from + size);
  }

  read(iova: number, into: Uint8Array): void {
    into.set(this.#part(iova, into.length));
  }
  write(iova: number, from: Uint8Array): void {
    this.#part(iova, from.length).set(from);
  }
  /** An array moves: there is no address to keep. */
  address(iova: number, size: number): undefined {
    this.#part(iova, size);
  }
  view(iova: number, size: number): Uint8Array {
    return this.#part(iova, size);
  }
  onUnmap(listener: (range: Range) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Tells the device that a range goes, as an unmap would; the bytes stay, for the test. */
  unmap(range: Range): void {
    for (const listener of this.#listeners) listener(range);
  }
}

/** An environment in this thread. With `manual` time stands still until `advance`. */
export class LocalEnvironment implements DeviceEnvironment, Disposable {
  /** What the device reaches by DMA. */
  readonly memory: DeviceMemory;
  readonly #manual: boolean;
  readonly #due = new Set<{ readonly at: number; readonly callback: () => void }>();
  readonly #owned = new Set<Disposable>();
  #now = 0;

  /** Around this memory. @param options `manual`: time stands still until `advance` */
  constructor(memory: DeviceMemory, options: { readonly manual?: boolean | undefined } = {}) {
    this.memory = memory;
    this.#manual = options.manual ?? false;
  }

  after(milliseconds: number, callback: () => void): Disposable {
    if (!this.#manual) {
      const timer = setTimeout(() => {
        this.#owned.delete(owned);
        callback();
      }, milliseconds);
      const owned = this.#own(() => clearTimeout(timer));
      return owned;
    }
    const due = { at: this.#now + milliseconds, callback };
    this.#due.add(due);
    return { [Symbol.dispose]: () => void this.#due.delete(due) };
  }

  watch(fd: number, callback: () => void): Disposable {
    const poll = new AioPoll(fd, () => {
      callback();
      if (this.#owned.has(owned)) poll.arm();
    });
    const owned = this.#own(() => poll[Symbol.dispose]());
    poll.arm();
    return owned;
  }

  #own(end: () => void): Disposable {
    const owned = {
      [Symbol.dispose]: () => {
        if (this.#owned.delete(owned)) end();
      },
    };
    this.#owned.add(owned);
    return owned;
  }

  /** Moves manual time: calls back what is due by then, in order. */
  advance(milliseconds: number): void {
    const until = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#due].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#due.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = until;
  }

  /** No timer and no descriptor calls back any more. */
  [Symbol.dispose](): void {
    this.#due.clear();
    for (const owned of [...this.#owned]) owned[Symbol.dispose]();
  }
}
