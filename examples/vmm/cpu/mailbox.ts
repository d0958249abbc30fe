// How CPUs reach the devices: each runs in a thread of its own and leaves its access in its box, rings, and sleeps; the
// thread of the devices answers. Ringing wakes its event loop, which so stays free for everything else.
import type { AccessHandlers } from "bun-vfio/kvm";

const kinds = ["ioRead", "ioWrite", "mmioRead", "mmioWrite"] as const;
type Kind = (typeof kinds)[number];

/** 32-bit words of a box, after a line of its own for the bell. */
const word = { state: 0, kind: 1, width: 2, low: 3, high: 4, data: 5 } as const;
const boxWords = 16;
const bell = 0;
const state = { answered: 0, asked: 1 } as const;
/** Answers after which the event loop gets its turn, though more is asked. */
const mostInTurn = 256;

export class Mailbox {
  /** What all threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #data = Array.from({ length: 9 }, (_, width) => new Uint8Array(width));

  /** @param shared how many CPUs there are, or the `buffer` of another thread's */
  constructor(shared: number | SharedArrayBuffer) {
    this.buffer = typeof shared === "number" ? new SharedArrayBuffer(4 * boxWords * (shared + 1)) : shared;
    this.#words = new Int32Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
  }

  /** Wakes the thread of the devices. */
  ring(): void {
    Atomics.add(this.#words, bell, 1);
    Atomics.notify(this.#words, bell);
  }

  /** In the thread of a CPU: what its run loop gives its accesses to. */
  ofCpu(cpu: number): AccessHandlers {
    const box = boxWords * (cpu + 1);
    const ask =
      (kind: Kind) =>
      (address: number, data: Uint8Array): void => {
        const words = this.#words;
        const begin = 4 * (box + word.data);
        words[box + word.kind] = kinds.indexOf(kind);
        words[box + word.width] = data.length;
        words[box + word.low] = address % 2 ** 32;
        words[box + word.high] = Math.floor(address / 2 ** 32);
        this.#bytes.set(data, begin);
        Atomics.store(words, box + word.state, state.asked);
        this.ring();
        while (Atomics.load(words, box + word.state) === state.asked)
          Atomics.wait(words, box + word.state, state.asked);
        data.set(this.#bytes.subarray(begin, begin + data.length));
      };
    return {
      ioRead: ask("ioRead"),
      ioWrite: ask("ioWrite"),
      mmioRead: ask("mmioRead"),
      mmioWrite: ask("mmioWrite"),
    };
  }

  /** In the thread of the devices: answers until `ended`, which is asked after each ring. @throws what a handler throws */
  async serve(handlers: AccessHandlers, ended: () => boolean): Promise<void> {
    for (let answers = 0; ;) {
      const rung = Atomics.load(this.#words, bell);
      for (let box = boxWords; box < this.#words.length; box += boxWords)
        if (Atomics.load(this.#words, box + word.state) === state.asked) {
          this.#answer(box, handlers);
          answers++;
        }
      if (ended()) return;
      const next = Atomics.waitAsync(this.#words, bell, rung);
      if (next.async) await next.value;
      else if (answers < mostInTurn) continue;
      else await new Promise((resolve) => setImmediate(resolve));
      answers = 0;
    }
  }

  #answer(box: number, handlers: AccessHandlers): void {
    const words = this.#words;
    const kind = kinds[words[box + word.kind]!]!;
    // A copy: what a handler keeps, or gives to the kernel, is not what the CPU's thread may change.
    const data = this.#data[words[box + word.width]!]!;
    const begin = 4 * (box + word.data);
    data.set(this.#bytes.subarray(begin, begin + data.length));
    const address = (words[box + word.low]! >>> 0) + 2 ** 32 * (words[box + word.high]! >>> 0);
    try {
      handlers[kind](address, data);
    } finally {
      this.#bytes.set(data, begin);
      Atomics.store(words, box + word.state, state.answered);
      Atomics.notify(words, box + word.state);
    }
  }
}
