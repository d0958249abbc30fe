// How one thread ends another that blocks on a socket: by shutting that down, which needs the two to agree on when a
// descriptor is still open. The lock is held for one system call.
import { shutdownSocket } from "../../../ffi/unix-socket.ts";
import type { BlockingControl } from "./serve-blocking.ts";

const lock = 0;
const descriptor = 1;
const stopping = 2;
const none = -1;

/** Shared memory for `StopWord`. */
export function newStopWord(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(12);
  new Int32Array(memory)[descriptor] = none;
  return memory;
}

/** One of the two threads' view of it. */
export class StopWord implements BlockingControl {
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  #locked(act: () => void): void {
    while (Atomics.compareExchange(this.#words, lock, 0, 1) !== 0);
    try {
      act();
    } finally {
      Atomics.store(this.#words, lock, 0);
    }
  }

  enter(fd: number): void {
    this.#locked(() => {
      Atomics.store(this.#words, descriptor, fd);
      // The other thread came too early to see it.
      if (this.isStopping) shutdownSocket(fd);
    });
  }

  leave(): void {
    this.#locked(() => Atomics.store(this.#words, descriptor, none));
  }

  get isStopping(): boolean {
    return Atomics.load(this.#words, stopping) !== 0;
  }

  /** Ends the other thread's wait, now or when it begins. */
  stop(): void {
    this.#locked(() => {
      Atomics.store(this.#words, stopping, 1);
      const fd = Atomics.load(this.#words, descriptor);
      if (fd !== none) shutdownSocket(fd);
    });
  }
}
