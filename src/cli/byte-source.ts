// A file, or standard input, as bytes that come when they are asked for.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { ByteSource } from "../image/lines.ts";
import { CliError } from "./failure.ts";
import { Progress } from "./progress.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file; check the path",
  EACCES: "permission denied; read it as a user who may, or copy it",
  EPERM: "permission denied; read it as a user who may, or copy it",
  EISDIR: "it is a directory; give one of its files",
  ENOTDIR: "a part of its path is no directory; check the path",
  ELOOP: "its symbolic links go in a circle; check the path",
  ENAMETOOLONG: "the name is too long; check the path",
};

const standardInput = 0;
/** Bytes at the beginning that say what a file is. */
const headSize = 65536;
/** Bytes of the beginning that tell versions apart: of a flight recorder's file its header, which counts the entries. */
const versionBytes = 128;
/** Times of files are coarser than the writes that they tell of. */
const settledMilliseconds = 1000;
const retryMilliseconds = 5;

/** How a path reads in messages: `-` is standard input. */
export const inputName = (path: string): string => (path === "-" ? "standard input" : path);

/** Where the bytes of a file come from. Disposing of it closes the file; standard input stays open. */
export class FileSource implements Disposable {
  readonly path: string;
  #fd: number | undefined;
  #head: Uint8Array = new Uint8Array(0);
  #whole = false;
  readonly #progress: Progress;

  /** @param path `-` for standard input @throws CliError */
  constructor(path: string) {
    this.path = path;
    this.#fd = path === "-" ? standardInput : this.#do(() => openSync(path, "r"));
    this.#progress = new Progress(`reading ${inputName(path)}`, sizeOf(this.#fd));
  }

  /** The first 64 KiB, or as many as there are, which `read` gives again; the same until that is called. @throws CliError */
  head(): { readonly bytes: Uint8Array; readonly whole: boolean } {
    if (this.#head.length > 0) return { bytes: this.#head, whole: this.#whole };
    const bytes = new Uint8Array(headSize);
    let length = 0;
    for (let count = 0; length < headSize && !this.#whole; length += count) {
      count = this.#read(bytes.subarray(length));
      if (count === 0) this.#whole = true;
    }
    this.#head = bytes.subarray(0, length);
    return { bytes: this.#head, whole: this.#whole };
  }

  /**
   * What tells the file as it is from what it is after a change: where it lies, when it was written, and its first bytes, since
   * nobody notes when a mapped file is written. Undefined: what is no file, or has changed so lately that it may again unnoticed.
   * To be called before `read`.
   */
  version(): string | undefined {
    const { bytes } = this.head();
    const found = fstatSync(this.#fd!, { bigint: true });
    if (!found.isFile() || Date.now() - Number(found.mtimeMs) < settledMilliseconds) return undefined;
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    return [dev, ino, size, mtimeNs, ctimeNs, bytes.subarray(0, versionBytes).toHex()].join(" ");
  }

  /** @throws CliError */
  readonly read: ByteSource = (into) => {
    if (this.#head.length === 0) return this.#whole ? 0 : this.#read(into);
    const piece = this.#head.subarray(0, into.length);
    into.set(piece);
    this.#head = this.#head.subarray(piece.length);
    return piece.length;
  };

  /**
   * All that is left of it, in memory once.
   * @param limit in bytes @param what is allowed to have as many, for the message
   * @throws CliError for more, or what cannot be read
   */
  all(limit: number, what: string): Uint8Array {
    const buffer = new ArrayBuffer(0, { maxByteLength: limit + 1 });
    let length = 0;
    for (;;) {
      if (buffer.byteLength < length + headSize)
        buffer.resize(Math.min(limit + 1, Math.max(length + headSize, length + (length >>> 1))));
      const count = this.read(new Uint8Array(buffer, length));
      length += count;
      if (length > limit)
        throw new CliError(`${inputName(this.path)}: more than ${limit} bytes; ${what} has at most as many`);
      if (count === 0) return new Uint8Array(buffer, 0, length);
    }
  }

  [Symbol.dispose](): void {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#progress[Symbol.dispose]();
    if (fd !== undefined && fd !== standardInput) closeSync(fd);
  }

  #read(into: Uint8Array): number {
    const count = this.#do(() => readSync(this.#fd!, into));
    this.#progress.add(count);
    return count;
  }

  #do<Result>(call: () => Result): Result {
    for (;;)
      try {
        return call();
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "EINTR") continue;
        // Whoever shares standard input with this process may have made it one that does not wait.
        if (code === "EAGAIN") Bun.sleepSync(retryMilliseconds);
        else throw new CliError(`${inputName(this.path)}: cannot read it: ${reasons[code ?? ""] ?? message}`);
      }
  }
}

/** In bytes; undefined of what is no file, or has none that is known before. */
function sizeOf(fd: number): number | undefined {
  const found = fstatSync(fd);
  return found.isFile() && found.size > 0 ? found.size : undefined;
}
