// Memory of this process seen through ArrayBuffers. One holds at most 4 GiB, so large memory is seen through several.
import { toArrayBuffer, type Pointer } from "bun:ffi";

/** Windows begin at multiples of this, in bytes. */
const windowStep = 2 ** 30;
/** In bytes; they overlap, so that each view of up to `maxViewSize` bytes lies in one. */
const windowSize = 3 * windowStep;
/** The longest view, in bytes. */
export const maxViewSize = windowSize - windowStep;

/** Views of memory that is somebody else's to unmap, made when they are first asked for. */
export class MemoryWindows {
  readonly #address: number;
  readonly #size: number;
  readonly #windows = new Map<number, ArrayBuffer>();
  /** A window's buffer was transferred: its memory can be reached from where nobody knows. */
  #escaped = false;

  /** @param address host virtual address @param size in bytes */
  constructor(address: number, size: number) {
    this.#address = address;
    this.#size = size;
  }

  /** @param offset inside of the memory, as the caller has checked @param size at most `maxViewSize` */
  view(offset: number, size: number): Uint8Array<ArrayBuffer> {
    const index = Math.floor(offset / windowStep);
    return new Uint8Array(this.#window(index), offset - index * windowStep, size);
  }

  #window(index: number): ArrayBuffer {
    let window = this.#windows.get(index);
    if (window?.detached) {
      this.#escaped = true;
      window = undefined;
    }
    if (!window) {
      const start = index * windowStep;
      const length = Math.min(windowSize, this.#size - start);
      // Without a length, or with 0, bun:ffi would look for a NUL.
      window = length > 0 ? toArrayBuffer((this.#address + start) as Pointer, 0, length) : new ArrayBuffer(0);
      this.#windows.set(index, window);
    }
    return window;
  }

  /**
   * Leaves every view without bytes, so that none is a way into memory that is no longer there.
   * @returns false where that cannot be: somebody has transferred the buffer of a view, and reaches the memory by another
   */
  detach(): boolean {
    for (const window of this.#windows.values())
      if (window.detached) this.#escaped = true;
      else window.transfer(0);
    this.#windows.clear();
    return !this.#escaped;
  }
}
