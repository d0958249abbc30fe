// Writes that a vCPU does not wait for: a ring in shared memory, filled by its thread, emptied by that of the devices.

/** Accesses that a ring holds; who finds it full waits. */
const slots = 64;
/** 32-bit words: of a line of the cache, and of a slot. */
const lineWords = 16;
const slot = { what: 0, low: 1, high: 2, data: 3 } as const;
const slotWords = 8;
const tail = 0;
const head = lineWords;
const first = 2 * lineWords;
/** 32-bit words of a ring. */
export const ringWords = first + slots * slotWords;

/**
 * Where a write is not waited for. The device gets it before any access that a vCPU begins afterwards, and in the order in which
 * its vCPU wrote; what it throws ends `run`, later than the write. For registers whose writes have no effect that the next
 * instruction depends on without looking: an index, a transmit register, a doorbell.
 */
export interface PostedRange {
  /** Memory, or I/O ports. */
  readonly kind: "io" | "mmio";
  /** A port, or a guest physical address. */
  readonly base: number;
  /** In bytes. */
  readonly size: number;
}

/** The ring of one vCPU, as either of its two threads sees it. */
export class PostedWrites {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #data = Array.from({ length: 9 }, (_, width) => new Uint8Array(width));

  /** @param at where it begins in the memory, in bytes: a multiple of 64 */
  constructor(buffer: SharedArrayBuffer, at: number) {
    this.#words = new Int32Array(buffer, at, ringWords);
    this.#bytes = new Uint8Array(buffer, at, 4 * ringWords);
  }

  /** How many wait now; its vCPU may add more meanwhile. */
  get waiting(): number {
    return (Atomics.load(this.#words, tail) - Atomics.load(this.#words, head)) | 0;
  }

  /** @param kind 0 to 255 @param data 1 to 8 bytes @returns false where it is full */
  put(kind: number, address: number, data: Uint8Array): boolean {
    const words = this.#words;
    const end = words[tail]!;
    if (((end - Atomics.load(words, head)) | 0) === slots) return false;
    const at = first + slotWords * (end & (slots - 1));
    words[at + slot.what] = kind | (data.length << 8);
    words[at + slot.low] = address % 2 ** 32;
    words[at + slot.high] = Math.floor(address / 2 ** 32);
    const begin = 4 * (at + slot.data);
    for (let i = 0; i < data.length; i++) this.#bytes[begin + i] = data[i]!;
    Atomics.store(words, tail, (end + 1) | 0);
    return true;
  }

  /** The oldest, of a ring that is not empty. Its data is good until the next. */
  take(): { readonly kind: number; readonly address: number; readonly data: Uint8Array } {
    const words = this.#words;
    const begin = words[head]!;
    const at = first + slotWords * (begin & (slots - 1));
    const what = words[at + slot.what]!;
    const data = this.#data[Math.min(what >>> 8, 8)]!;
    const from = 4 * (at + slot.data);
    for (let i = 0; i < data.length; i++) data[i] = this.#bytes[from + i]!;
    const address = (words[at + slot.low]! >>> 0) + 2 ** 32 * (words[at + slot.high]! >>> 0);
    Atomics.store(words, head, (begin + 1) | 0);
    return { kind: what & 0xff, address, data };
  }
}
