// A trace as a text file of bounded size: a line an entry, for people and for grep.
import { closeSync, fchmodSync, fstatSync, openSync, realpathSync, renameSync, writeSync } from "node:fs";
import { formatTraceEntry, traceEntry } from "../seam/trace-text.ts";
import type { Tracer } from "../seam/trace.ts";

/** Options of a `TraceFile`. */
export interface TraceFileOptions {
  /**
   * Bytes of one file, at least 64 KiB (default 64 MiB). A full one is renamed to `PATH.1`, in place of the one before; what
   * is no file, as a pipe or a device, has no end and keeps its name.
   */
  readonly maxBytes?: number | undefined;
}

const defaultBytes = 64 * 2 ** 20;
/** Text that is kept back: a system call for each entry would slow the guest down. */
const bufferedCharacters = 2 ** 14;
const minBytes = 2 ** 16;

/** Opens a file for its owner alone, whatever its mode was before. What is no file, as a terminal, stays as it is. */
function openAnew(path: string): { readonly fd: number; readonly isFile: boolean } {
  const fd = openSync(path, "w", 0o600);
  const isFile = fstatSync(fd).isFile();
  if (isFile) fchmodSync(fd, 0o600);
  return { fd, isFile };
}

/**
 * Writes traces to a file of mode 0600, never more than two files of `maxBytes`. What cannot be written is not traced any
 * more, and `failure` says why: a full disk stops no guest. Whoever made it disposes of it, which writes what is kept back.
 */
export class TraceFile implements Disposable {
  /** The newer of its two files. */
  readonly path: string;
  readonly #maxBytes: number;
  #fd: number | undefined;
  /** Where the file is; undefined for what is none, and is never renamed. */
  readonly #place: string | undefined;
  #written = 0;
  #text = "";
  /** Why nothing is written any more; undefined while all is well. */
  failure: unknown;

  /** Makes the file anew. @throws the error of open(2); RangeError */
  constructor(path: string, { maxBytes = defaultBytes }: TraceFileOptions = {}) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < minBytes)
      throw new RangeError(`"maxBytes" must be an integer from ${minBytes}, not ${maxBytes}`);
    this.path = path;
    this.#maxBytes = maxBytes;
    const { fd, isFile } = openAnew(path);
    this.#fd = fd;
    // A link keeps its name: it may be one of the system's, as /dev/stdout.
    this.#place = isFile ? realpathSync(path) : undefined;
  }

  /** A tracer whose lines begin with the seconds since the process began, and a name. @param name of a device, as its BDF */
  of(name: string): Tracer {
    return {
      record: (kind, a, b, c, d, e, text) => {
        if (this.#fd === undefined) return;
        const line = formatTraceEntry(traceEntry(kind, [a, b, c, d, e], text));
        this.#text += `${(performance.now() / 1000).toFixed(6)} ${name} ${line}\n`;
        if (this.#text.length >= bufferedCharacters) this.flush();
      },
    };
  }

  /** Writes what is kept back. */
  flush(): void {
    if (this.#fd === undefined || this.#text === "") return;
    const bytes = new TextEncoder().encode(this.#text);
    this.#text = "";
    try {
      if (this.#place !== undefined && this.#written > 0 && this.#written + bytes.length > this.#maxBytes)
        this.#rotate(this.#place);
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
      this.#written += bytes.length;
    } catch (cause) {
      this.failure = cause;
      this.#close();
    }
  }

  #rotate(place: string): void {
    renameSync(place, `${place}.1`);
    closeSync(this.#fd!);
    this.#fd = openAnew(place).fd;
    this.#written = 0;
  }

  #close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }

  /** Writes what is kept back, and closes the file. Safe to call twice. */
  [Symbol.dispose](): void {
    this.flush();
    this.#close();
  }
}
