import { fillOnes } from "../device/seam/guest-answers.ts";
import { futexTimeout, futexWait, futexWake } from "../ffi/futex.ts";
import { PostedWrites, ringWords, type PostedRange } from "./posted-writes.ts";
import type { AccessHandlers } from "./run-loop.ts";

const kinds = ["ioRead", "ioWrite", "mmioRead", "mmioWrite"] as const;
type Kind = (typeof kinds)[number];

/** 32-bit words of the first box: it is the bell's, a line of the cache of its own, for all. */
const bell = 0;
const closed = 1;
const sleeping = 2;
/** 32-bit words of a vCPU's box. */
const word = { state: 0, kind: 1, width: 2, low: 3, high: 4, data: 5 } as const;
const boxWords = 16;
const state = { answered: 0, asked: 1 } as const;
/** How the thread of the devices waits for the bell: not at all, with its event loop, or with nothing else. */
const sleep = { awake: 0, eventLoop: 1, blocked: 2 } as const;

/** A thread that is terminated meanwhile notices between two waits. In ns. */
const halfSecond = futexTimeout(5e8);
/**
 * In a row of accesses the thread of the devices waits for the next by a futex, which takes half the time that waking the event loop
 * does. A row: so many, each so soon after the answer before. In ns.
 */
const soon = 50_000;
const shortestRow = 64;
/** Each row that ends costs one wait in vain: where they are often short, only longer ones count as rows. */
const longestRow = 2 ** 16;
/** How many waits that were not in vain take that back, by half. */
const worthIt = 1024;
/** A wait in vain, in ns. Longer than to the kernel's next tick: to program a timer for each wait costs more than it brings. */
const inVain = futexTimeout(4e6);
/** Time without the event loop, after which that gets its turn, though more is asked. In ns. */
const longestTurn = 1_000_000;

/**
 * How vCPUs in threads of their own reach devices that live in one: each leaves its access in its box, rings, and sleeps; the
 * thread of the devices answers. Ringing wakes its event loop, which so stays free for everything else.
 */
export class AccessMailbox {
  /** What all threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #vcpus: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #bell: Int32Array;
  /** The state of each box, for the kernel. */
  readonly #states: readonly Int32Array[];
  readonly #rings: readonly PostedWrites[];
  readonly #data = Array.from({ length: 9 }, (_, width) => new Uint8Array(width));
  /** When the event loop had its last turn, and an access its answer. In ns. */
  #turn = 0;
  #answered = 0;
  /** Accesses in the row that goes on, and how many make one. */
  #row = 0;
  #enough = shortestRow;
  #waits = 0;

  /** A new one for so many vCPUs, or the same in another thread. @param shared how many, or its `buffer` */
  constructor(shared: number | SharedArrayBuffer) {
    this.buffer =
      typeof shared === "number"
        ? new SharedArrayBuffer(4 * (boxWords + (boxWords + ringWords) * shared))
        : shared;
    this.#words = new Int32Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
    this.#bell = new Int32Array(this.buffer, 4 * bell, 1);
    this.#vcpus = (this.#words.length - boxWords) / (boxWords + ringWords);
    const each = Array.from({ length: this.#vcpus }, (_, vcpu) => vcpu);
    this.#states = each.map((vcpu) => new Int32Array(this.buffer, 4 * (boxOf(vcpu) + word.state), 1));
    const rings = 4 * boxOf(this.#vcpus);
    this.#rings = each.map((vcpu) => new PostedWrites(this.buffer, rings + 4 * ringWords * vcpu));
  }

  /** Has `serve` look whether it is to end. */
  ring(): void {
    const words = this.#words;
    Atomics.add(words, bell, 1);
    // Who finds it asleep wakes it; who comes between that and its waking need not.
    if (Atomics.exchange(words, sleeping, sleep.awake) === sleep.blocked) futexWake(this.#bell);
    else Atomics.notify(words, bell);
  }

  /** Nobody answers any more: what is asked, or will be, is read as all ones, and written nowhere. */
  close(): void {
    Atomics.store(this.#words, closed, 1);
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu++)
      if (Atomics.load(this.#words, boxOf(vcpu) + word.state) === state.asked) this.#setAnswered(vcpu);
  }

  /**
   * In the thread of a vCPU: what its run loop gives its accesses to.
   * @param vcpu from 0 on @param posted writes there are not waited for: see `PostedRange`
   */
  ofVcpu(vcpu: number, posted: readonly PostedRange[] = []): AccessHandlers {
    const ring = this.#rings[vcpu]!;
    const ask = (kind: Kind) => {
      const index = kinds.indexOf(kind);
      return (address: number, data: Uint8Array) => this.#ask(vcpu, index, address, data);
    };
    const write = (kind: "ioWrite" | "mmioWrite", ranges: readonly PostedRange[]) => {
      const [wait, index] = [ask(kind), kinds.indexOf(kind)];
      if (ranges.length === 0) return wait;
      return (address: number, data: Uint8Array): void => {
        if (!holds(ranges, address, data.length)) return wait(address, data);
        if (ring.put(index, address, data)) {
          if (Atomics.load(this.#words, sleeping) !== sleep.awake) this.ring();
        } else wait(address, data);
      };
    };
    return {
      ioRead: ask("ioRead"),
      ioWrite: write("ioWrite", ofKind(posted, "io")),
      mmioRead: ask("mmioRead"),
      mmioWrite: write("mmioWrite", ofKind(posted, "mmio")),
    };
  }

  #ask(vcpu: number, kind: number, address: number, data: Uint8Array): void {
    const words = this.#words;
    const bytes = this.#bytes;
    const box = boxOf(vcpu);
    const begin = 4 * (box + word.data);
    words[box + word.kind] = kind;
    words[box + word.width] = data.length;
    words[box + word.low] = address % 2 ** 32;
    words[box + word.high] = Math.floor(address / 2 ** 32);
    // What a read finds where nobody answers.
    if ((kind & 1) === 0) fillOnes(data);
    for (let i = 0; i < data.length; i++) bytes[begin + i] = data[i]!;
    Atomics.store(words, box + word.state, state.asked);
    this.ring();
    // After asking: either this sees that it is closed, or `close` sees that it was asked.
    while (Atomics.load(words, closed) === 0 && Atomics.load(words, box + word.state) === state.asked)
      futexWait(this.#states[vcpu]!, state.asked, halfSecond);
    for (let i = 0; i < data.length; i++) data[i] = bytes[begin + i]!;
  }

  /** In the thread of the devices: answers until `ended`, which is asked after each ring. @throws what a handler throws */
  async serve(handlers: AccessHandlers, ended: () => boolean): Promise<void> {
    const words = this.#words;
    this.#turn = Bun.nanoseconds();
    for (;;) {
      const rung = Atomics.load(words, bell);
      this.#answerAll(handlers);
      if (ended()) {
        // What was posted before the last has ended.
        this.#takePosted(handlers);
        return;
      }
      if (!this.#isSoon(rung)) await this.#eventLoop(rung);
    }
  }

  /** In a row, waits for the next access with nothing else. @returns whether to look; false: the event loop is to have its turn */
  #isSoon(rung: number): boolean {
    if (this.#row < this.#enough || Bun.nanoseconds() - this.#turn > longestTurn) return false;
    const words = this.#words;
    Atomics.store(words, sleeping, sleep.blocked);
    const woken = this.#hasPosted || futexWait(this.#bell, rung, inVain);
    Atomics.store(words, sleeping, sleep.awake);
    if (!woken) {
      this.#row = 0;
      this.#enough = Math.min(2 * this.#enough, longestRow);
    } else if (++this.#waits % worthIt === 0) this.#enough = Math.max(this.#enough / 2, shortestRow);
    return woken;
  }

  async #eventLoop(rung: number): Promise<void> {
    const words = this.#words;
    Atomics.store(words, sleeping, sleep.eventLoop);
    const next = this.#hasPosted ? undefined : Atomics.waitAsync(words, bell, rung);
    if (next?.async) await next.value;
    else await new Promise((resolve) => setImmediate(resolve));
    Atomics.store(words, sleeping, sleep.awake);
    this.#turn = Bun.nanoseconds();
  }

  #answerAll(handlers: AccessHandlers): void {
    let some = this.#takePosted(handlers);
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu++)
      if (Atomics.load(this.#words, boxOf(vcpu) + word.state) === state.asked) {
        // What any vCPU had posted before this one asked comes before it, as on a bus.
        this.#takePosted(handlers);
        this.#answer(vcpu, handlers);
        some = true;
      }
    if (!some) return;
    const now = Bun.nanoseconds();
    this.#row = now - this.#answered < soon ? this.#row + 1 : 0;
    this.#answered = now;
  }

  #answer(vcpu: number, handlers: AccessHandlers): void {
    const words = this.#words;
    const bytes = this.#bytes;
    const box = boxOf(vcpu);
    const kind = kinds[words[box + word.kind]!]!;
    // A copy: what a handler keeps, or gives to the kernel, is not what the vCPU's thread may change.
    const data = this.#data[words[box + word.width]!]!;
    const begin = 4 * (box + word.data);
    for (let i = 0; i < data.length; i++) data[i] = bytes[begin + i]!;
    const address = (words[box + word.low]! >>> 0) + 2 ** 32 * (words[box + word.high]! >>> 0);
    try {
      handlers[kind](address, data);
    } finally {
      for (let i = 0; i < data.length; i++) bytes[begin + i] = data[i]!;
      this.#setAnswered(vcpu);
    }
  }

  /** @returns whether there was something */
  #takePosted(handlers: AccessHandlers): boolean {
    let some = false;
    // As many as wait now: a vCPU that goes on writing keeps neither the others nor the event loop waiting.
    for (const ring of this.#rings)
      for (let left = ring.waiting; left > 0; left--) {
        const { kind, address, data } = ring.take();
        some = true;
        handlers[kinds[kind]!](address, data);
      }
    return some;
  }
  get #hasPosted(): boolean {
    for (const ring of this.#rings) if (ring.waiting > 0) return true;
    return false;
  }

  #setAnswered(vcpu: number): void {
    Atomics.store(this.#words, boxOf(vcpu) + word.state, state.answered);
    futexWake(this.#states[vcpu]!);
  }
}

const boxOf = (vcpu: number): number => boxWords * (vcpu + 1);

const ofKind = (ranges: readonly PostedRange[], kind: PostedRange["kind"]): readonly PostedRange[] =>
  ranges.filter((range) => range.kind === kind);

function holds(ranges: readonly PostedRange[], address: number, width: number): boolean {
  for (const { base, size } of ranges) if (address >= base && address + width <= base + size) return true;
  return false;
}
