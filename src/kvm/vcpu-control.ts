import { kickSignal, signalThread } from "../ffi/signals.ts";

/** 32-bit words of the shared memory. */
const word = { thread: 0, kicked: 1, stopping: 2, senders: 3 } as const;
const words = 4;
/** In ms: a thread that was ended in the middle of a kick cannot say so. */
const longestKick = 100;

/**
 * Ends `run` of a vCPU from any thread. Made where one likes; its `buffer` goes to the thread of the vCPU by `postMessage`,
 * and from it the same control is made again there.
 */
export class VcpuControl {
  /** What all threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** A new control, or one made elsewhere. @param buffer of the same control in another thread */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * words)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, words);
  }

  /**
   * Has `run` return, or its next call where the guest is not running: no kick is lost. Several before it returns are one.
   * @throws VfioError
   */
  kick(): void {
    Atomics.store(this.#words, word.kicked, 1);
    // Counted, so that the thread keeps the signal blocked until it has been sent.
    Atomics.add(this.#words, word.senders, 1);
    try {
      const thread = Atomics.load(this.#words, word.thread);
      if (thread > 0) signalThread(thread, kickSignal);
    } finally {
      Atomics.sub(this.#words, word.senders, 1);
      Atomics.notify(this.#words, word.senders);
    }
  }

  /** As `kick`, for good: a run loop ends. @throws VfioError */
  stop(): void {
    Atomics.store(this.#words, word.stopping, 1);
    this.kick();
  }
  /** Whether `stop` was called, since `resume`. */
  get stopping(): boolean {
    return Atomics.load(this.#words, word.stopping) !== 0;
  }
  /** Takes `stop` back, before the loop is run again. */
  resume(): void {
    Atomics.store(this.#words, word.stopping, 0);
  }

  /** For the vCPU: from now on kicks go to this thread, which holds the signal. */
  attach(thread: number): void {
    Atomics.store(this.#words, word.thread, thread);
  }
  /** For the vCPU: no signal is sent any more when this returns. */
  detach(): void {
    Atomics.store(this.#words, word.thread, 0);
    for (let senders = Atomics.load(this.#words, word.senders); senders > 0;) {
      if (Atomics.wait(this.#words, word.senders, senders, longestKick) === "timed-out") return;
      senders = Atomics.load(this.#words, word.senders);
    }
  }
  /** For the vCPU: whether there is a kick to be taken. */
  get isKicked(): boolean {
    return Atomics.load(this.#words, word.kicked) !== 0;
  }
  /** For the vCPU: whether there was a kick since the last time. */
  takeKick(): boolean {
    return this.isKicked && Atomics.exchange(this.#words, word.kicked, 0) !== 0;
  }
}
