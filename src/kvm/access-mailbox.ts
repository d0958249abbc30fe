import { fillOnes } from "../device/seam/guest-answers.ts";
import type { AccessHandlers } from "./run-loop.ts";

const kinds = ["ioRead", "ioWrite", "mmioRead", "mmioWrite"] as const;
type Kind = (typeof kinds)[number];

/** 32-bit words of a box. The first box is the bell's: a line of the cache of its own, for all. */
const word = { state: 0, kind: 1, width: 2, low: 3, high: 4, data: 5 } as const;
const boxWords = 16;
const bell = 0;
const closed = 1;
const state = { answered: 0, asked: 1 } as const;
/** Answers after which the event loop gets its turn, though more is asked. */
const mostInTurn = 256;

/**
 * How vCPUs in threads of their own reach devices that live in one: each leaves its access in its box, rings, and sleeps; the
 * thread of the devices answers. Ringing wakes its event loop, which so stays free for everything else.
 */
export class AccessMailbox {
  /** What all threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #data = Array.from({ length: 9 }, (_, width) => new Uint8Array(width));

  /** A new one for so many vCPUs, or the same in another thread. @param shared how many, or its `buffer` */
  constructor(shared: number | SharedArrayBuffer) {
    this.buffer = typeof shared === "number" ? new SharedArrayBuffer(4 * boxWords * (shared + 1)) : shared;
    this.#words = new Int32Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
  }

  /** Has `serve` look whether it is to end. */
  ring(): void {
    Atomics.add(this.#words, bell, 1);
    Atomics.notify(this.#words, bell);
  }

  /** Nobody answers any more: what is asked, or will be, is read as all ones, and written nowhere. */
  close(): void {
    Atomics.store(this.#words, closed, 1);
    for (let box = boxWords; box < this.#words.length; box += boxWords)
      if (Atomics.load(this.#words, box + word.state) === state.asked) this.#setAnswered(box);
  }

  /** In the thread of a vCPU: what its run loop gives its accesses to. @param vcpu from 0 on */
  ofVcpu(vcpu: number): AccessHandlers {
    const ask = (kind: Kind) => (address: number, data: Uint8Array) => this.#ask(vcpu, kind, address, data);
    return {
      ioRead: ask("ioRead"),
      ioWrite: ask("ioWrite"),
      mmioRead: ask("mmioRead"),
      mmioWrite: ask("mmioWrite"),
    };
  }

  #ask(vcpu: number, kind: Kind, address: number, data: Uint8Array): void {
    const words = this.#words;
    const box = boxWords * (vcpu + 1);
    const begin = 4 * (box + word.data);
    words[box + word.kind] = kinds.indexOf(kind);
    words[box + word.width] = data.length;
    words[box + word.low] = address % 2 ** 32;
    words[box + word.high] = Math.floor(address / 2 ** 32);
    // What an access finds where nobody answers.
    if (kind === "ioRead" || kind === "mmioRead") fillOnes(data);
    this.#bytes.set(data, begin);
    Atomics.store(words, box + word.state, state.asked);
    this.ring();
    // After asking: either this sees that it is closed, or `close` sees that it was asked.
    while (Atomics.load(words, closed) === 0 && Atomics.load(words, box + word.state) === state.asked)
      Atomics.wait(words, box + word.state, state.asked);
    data.set(this.#bytes.subarray(begin, begin + data.length));
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
    // A copy: what a handler keeps, or gives to the kernel, is not what the vCPU's thread may change.
    const data = this.#data[words[box + word.width]!]!;
    const begin = 4 * (box + word.data);
    data.set(this.#bytes.subarray(begin, begin + data.length));
    const address = (words[box + word.low]! >>> 0) + 2 ** 32 * (words[box + word.high]! >>> 0);
    try {
      handlers[kind](address, data);
    } finally {
      this.#bytes.set(data, begin);
      this.#setAnswered(box);
    }
  }

  #setAnswered(box: number): void {
    Atomics.store(this.#words, box + word.state, state.answered);
    Atomics.notify(this.#words, box + word.state);
  }
}
