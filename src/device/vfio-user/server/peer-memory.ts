// What a server's device reaches of its client's memory: the client's DMA_MAPs, and three ways behind them.
import { readAt, writeAt } from "../../../ffi/file-io.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { contains, hex, type Range } from "../../address/range.ts";
import { RangeTable } from "../../address/range-table.ts";
import type { DeviceMemory } from "../../seam/device-memory.ts";
import type { SharedFiles, SharedPart } from "./shared-files.ts";

/** DMA_READ and DMA_WRITE: how memory without a descriptor is reached. */
export interface DmaByMessage {
  /** @throws VfioError with what the client says */
  read(iova: number, into: Uint8Array): void;
  write(iova: number, from: Uint8Array): void;
}

/** One DMA_MAP. */
export interface WindowRequest {
  readonly iova: number;
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Where the memory lies in a file; by messages without. */
  readonly file: { readonly fd: number; readonly offset: number; readonly mapped: boolean } | undefined;
}

interface Window extends Range {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly part: SharedPart | undefined;
  readonly file: { readonly descriptor: FileDescriptor; readonly offset: number } | undefined;
}

const fault = (code: "EFAULT" | "EACCES", errno: number, iova: number, size: number): VfioError =>
  new VfioError(
    `DMA of ${size} bytes at IOVA ${hex(iova)} fails with ${code}: the client has not mapped it for that`,
    { code, errno },
  );

/** Descriptors that a peer may have kept open for access by file I/O. */
const maxFiles = 64;

/** The memory of whatever client is connected now. */
export class PeerMemory implements DeviceMemory {
  readonly #windows = new RangeTable<Window>();
  readonly #listeners = new Set<(range: Range) => void>();
  #files = 0;
  /** What the last access found: the next is mostly beside it. */
  #last: Window | undefined;
  /** While a client is connected. */
  messages: DmaByMessage | undefined;

  /** How many windows there are. */
  get length(): number {
    return this.#windows.length;
  }

  /** Windows whose memory lies in this process, with its host virtual address. */
  hva(range: Range): number | undefined {
    const window = this.#windows.overlap(range);
    return window?.part && window.part.mapping.address + window.part.offset;
  }

  /**
   * Adds a window. @param files where files are mapped @throws VfioError: EEXIST over another, EMFILE, as `SharedFiles.map`
   */
  map(request: WindowRequest, files: SharedFiles): void {
    const { iova, size, readable, writable, file } = request;
    const range = { base: iova, size };
    if (this.#windows.overlap(range))
      throw new VfioError(`IOVA ${hex(iova)} is mapped`, { code: "EEXIST", errno: 17 });
    const part = file?.mapped ? files.map(file.fd, file.offset, size, writable) : undefined;
    let kept: Window["file"];
    if (file && !file.mapped) {
      if (this.#files >= maxFiles)
        throw new VfioError(`${maxFiles} files are open`, { code: "EMFILE", errno: 24 });
      this.#files++;
      kept = { descriptor: FileDescriptor.duplicate(file.fd, "a file of a peer"), offset: file.offset };
    }
    this.#windows.insert({ ...range, readable, writable, part, file: kept });
  }

  /**
   * Takes away all windows in a range, none included.
   * @throws VfioError (EINVAL) if the range cuts a window; then nothing is taken
   */
  unmap(range: Range): void {
    this.checkUnmap(range);
    this.#drop(this.#windows.overlaps(range));
  }

  /** @throws VfioError (EINVAL) if the range cuts a window */
  checkUnmap(range: Range): void {
    const cut = this.#windows.overlaps(range).find((one) => !contains(range, one.base, one.size));
    if (cut)
      throw new VfioError(`the range cuts a mapping at IOVA ${hex(cut.base)}`, { code: "EINVAL", errno: 22 });
  }

  /** Windows that have an address in a range, ascending. */
  ranges(range: Range): Range[] {
    return this.#windows.overlaps(range);
  }

  #drop(gone: readonly Window[]): void {
    try {
      for (const { base, size } of gone)
        for (const listener of [...this.#listeners]) listener({ base, size });
    } finally {
      this.#last = undefined;
      this.#windows.delete(gone);
      for (const { part, file } of gone) {
        part?.release();
        if (!file) continue;
        file.descriptor[Symbol.dispose]();
        this.#files--;
      }
    }
  }

  onUnmap(listener: (range: Range) => void): Disposable {
    const own = (range: Range): void => listener(range);
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  #find(iova: number, access: "read" | "write", size: number): Window {
    let window = this.#last;
    if (!window || !contains(window, iova)) {
      window = this.#windows.overlap({ base: iova, size: 1 });
      if (!window) throw fault("EFAULT", 14, iova, size);
      this.#last = window;
    }
    if (!(access === "read" ? window.readable : window.writable)) throw fault("EACCES", 13, iova, size);
    return window;
  }

  read(iova: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const at = iova + done;
      const window = this.#find(at, "read", into.length);
      const inside = at - window.base;
      const count = Math.min(into.length - done, window.size - inside);
      const piece = count === into.length ? into : into.subarray(done, done + count);
      if (window.part) window.part.mapping.read(window.part.offset + inside, piece);
      else if (window.file) {
        readAt(window.file.descriptor.fd, window.file.offset + inside, piece, "memory of a peer");
      } else this.#byMessage().read(at, piece);
      done += count;
    }
  }

  write(iova: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const at = iova + done;
      const window = this.#find(at, "write", from.length);
      const inside = at - window.base;
      const count = Math.min(from.length - done, window.size - inside);
      const piece = count === from.length ? from : from.subarray(done, done + count);
      if (window.part) window.part.mapping.write(window.part.offset + inside, piece);
      else if (window.file) {
        writeAt(window.file.descriptor.fd, window.file.offset + inside, piece, "memory of a peer");
      } else this.#byMessage().write(at, piece);
      done += count;
    }
  }

  #byMessage(): DmaByMessage {
    if (this.messages) return this.messages;
    throw new VfioError("no client is connected", { code: "ENOTCONN", errno: 107 });
  }

  address(iova: number, size: number, access: "read" | "write"): number | undefined {
    const window = this.#find(iova, access, size);
    if (!window.part || !contains(window, iova, size)) return undefined;
    return window.part.mapping.address + window.part.offset + (iova - window.base);
  }

  view(iova: number, size: number, access: "read" | "write"): Uint8Array | undefined {
    const window = this.#find(iova, access, size);
    // A view can be written: of memory that may only be read there is none.
    if (!window.part || !window.writable || !contains(window, iova, size)) return undefined;
    return window.part.mapping.view(window.part.offset + (iova - window.base), size);
  }
}
