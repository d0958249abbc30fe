// Memory for what the kernel keeps addresses of: a msghdr points at an iovec, which points at data. Pieces are taken once
// and never move, so that no call needs memory of its own.
import { Mapping } from "./mapping.ts";

/** A piece of an arena. */
export interface ArenaPiece {
  /** In this process. */
  readonly address: number;
  /** From the start of the arena, in bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/** One mapping, handed out in pieces that last as long as it does. Owned: `dispose` unmaps it. */
export class Arena implements Disposable {
  readonly #mapping: Mapping;
  /** All of it; it has no bytes left after `dispose`. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same bytes, for numbers of any width. */
  readonly view: DataView<ArrayBuffer>;
  #used = 0;

  /**
   * Zeroed memory; pages exist once they are touched.
   * @param size in bytes, from 1 to 2 GiB @param name for messages
   * @throws VfioError where the address space has no room
   */
  constructor(size: number, name: string) {
    this.#mapping = new Mapping({ size, name });
    this.bytes = this.#mapping.view(0, size);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** Of the first byte. @throws VfioError (`ECLOSED`) after `dispose` */
  get address(): number {
    return this.#mapping.address;
  }

  /**
   * A piece that nobody else has, all zeros.
   * @param size in bytes @param alignment in bytes, a power of two up to the page size
   * @throws RangeError if the arena has no such piece left
   */
  take(size: number, alignment = 8): ArenaPiece {
    const offset = Math.ceil(this.#used / alignment) * alignment;
    if (offset + size > this.bytes.length)
      throw new RangeError(`${this.#mapping.name} has no ${size} bytes left of ${this.bytes.length}`);
    this.#used = offset + size;
    return { address: this.address + offset, offset, size };
  }

  /** Unmaps the memory. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
