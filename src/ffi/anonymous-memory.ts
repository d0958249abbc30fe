import { toArrayBuffer, type Pointer } from "bun:ffi";
import { VfioError } from "./errors.ts";
import { lastErrno, libc, systemError } from "./libc.ts";

const readWrite = 3;
const privateAnonymous = 0x22;
const noReserve = 0x4000;
const dontNeed = 4;
const mapFailed = 0xffff_ffff_ffff_ffffn;
/** One ArrayBuffer stays under 4 GiB: larger memory is looked at through windows. A power of two. */
const windowSize = 2 ** 30;

/** Page-aligned memory of this process, all zeros at first; pages exist once they are touched (mmap(2)). Owned: `dispose` unmaps it. */
export class AnonymousMemory implements Disposable {
  /** Host virtual address. */
  readonly address: number;
  /** In bytes. */
  readonly size: number;
  readonly #windows = new Map<number, ArrayBuffer>();
  #closed = false;

  /** @param size in bytes, at least 1 @throws VfioError where the address space has no room */
  constructor(size: number) {
    const address = libc().mmap(0, size, readWrite, privateAnonymous | noReserve, -1, 0);
    if (address === mapFailed) throw systemError("mmap", lastErrno(), `${size} bytes of memory`);
    this.address = Number(address);
    this.size = size;
  }

  /** Copies bytes out. The range must lie inside. @throws VfioError (`ECLOSED`) after `dispose` */
  read(offset: number, into: Uint8Array): void {
    this.#each(offset, into.length, (bytes, done) => into.set(bytes, done));
  }

  /** Copies bytes in. The range must lie inside. @throws VfioError (`ECLOSED`) after `dispose` */
  write(offset: number, data: Uint8Array): void {
    this.#each(offset, data.length, (bytes, done) => bytes.set(data.subarray(done, done + bytes.length)));
  }

  /** All zeros again, and the pages given back. Addresses stay as they are. @throws VfioError */
  clear(): void {
    if (this.#closed) throw new VfioError("the memory is unmapped", { code: "ECLOSED" });
    if (libc().madvise(this.address, this.size, dontNeed) < 0)
      throw systemError("madvise", lastErrno(), `${this.size} bytes of memory`);
  }

  #each(offset: number, length: number, act: (bytes: Uint8Array, done: number) => void): void {
    if (this.#closed) throw new VfioError("the memory is unmapped", { code: "ECLOSED" });
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > this.size)
      throw new RangeError(`${length} bytes at ${offset} do not lie in ${this.size}`);
    for (let done = 0; done < length;) {
      const at = offset + done;
      const index = Math.floor(at / windowSize);
      const start = at - index * windowSize;
      const count = Math.min(length - done, windowSize - start);
      act(new Uint8Array(this.#window(index), start, count), done);
      done += count;
    }
  }

  #window(index: number): ArrayBuffer {
    let window = this.#windows.get(index);
    if (!window) {
      const start = index * windowSize;
      window = toArrayBuffer((this.address + start) as Pointer, 0, Math.min(windowSize, this.size - start));
      this.#windows.set(index, window);
    }
    return window;
  }

  /** Unmaps the memory. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // Views go first: one that is still alive would be a way into memory that is no longer there.
    for (const window of this.#windows.values()) window.transfer(0);
    this.#windows.clear();
    libc().munmap(this.address, this.size);
  }
}
