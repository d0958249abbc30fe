// Files that somebody will need: whole on the disk under their name, or not there, and then what had the name before still is.
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { VfioError } from "./errors.ts";

/** What kind of file it is to be. */
export interface DurableFileOptions {
  /** For its owner alone, mode 0600: memory or registers of a guest. Otherwise as the file before, or as the umask says. */
  readonly secret?: boolean | undefined;
  /** False: a file that has the name, or gets it meanwhile, stays. */
  readonly replace?: boolean | undefined;
}

const ownerOnly = 0o600;
const forAll = 0o666;
/** Characters of the name that a temporary file shows: with what stands around them always less than a name may have. */
const shown = 40;

/**
 * A file that is written beside its place, and takes its name by `commit`, in one step, once the disk has all of it. What fails
 * before, or a process that is killed, leaves the older file whole. Disposing of it without `commit` removes what was written.
 */
export class DurableFile implements Disposable {
  /** Where it will be. A symbolic link stays one: the file that it points to is replaced. */
  readonly path: string;
  readonly #target: string;
  readonly #temporary: string;
  readonly #replace: boolean;
  #fd: number | undefined;
  #size = 0;
  #done = false;

  /**
   * An empty one.
   * @throws VfioError: `EEXIST` where the name is taken and may not be replaced, `EISDIR` and `ENOTREG` where no regular file
   * has it, others of open(2)
   */
  constructor(path: string, { secret = false, replace = true }: DurableFileOptions = {}) {
    this.path = path;
    this.#replace = replace;
    const there = this.#do("stat", () => fs.statSync(path, { throwIfNoEntry: false }));
    if (there?.isDirectory()) throw this.#error("it is a directory", "EISDIR");
    if (there && !there.isFile()) throw this.#error("it is no regular file", "ENOTREG");
    if (there && !replace) throw this.#error("it exists", "EEXIST");
    this.#target = there ? this.#do("realpath", () => fs.realpathSync(path)) : path;
    // Random: what a killed process has left is in nobody's way.
    this.#temporary = join(
      dirname(this.#target),
      `.${basename(this.#target).slice(0, shown)}.${crypto.randomUUID()}.tmp`,
    );
    this.#fd = this.#do("open", () => fs.openSync(this.#temporary, "wx", secret ? ownerOnly : forAll));
    if (!there || secret) return;
    try {
      this.#do("fchmod", () => fs.fchmodSync(this.#open, there.mode & 0o777));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get #open(): number {
    if (this.#fd === undefined)
      throw new VfioError(`${this.path} is written and closed`, { code: "ECLOSED" });
    return this.#fd;
  }

  /**
   * Writes all of the bytes.
   * @param at in bytes from the beginning; without, after the last byte so far. What is left out stays a hole, which reads 0
   * @throws VfioError: `ENOSPC` and others of write(2)
   */
  write(bytes: Uint8Array, at = this.#size): void {
    for (let done = 0; done < bytes.length;) {
      const count = this.#do("write", () =>
        fs.writeSync(this.#open, bytes, done, bytes.length - done, at + done),
      );
      if (count === 0) throw this.#error("the file system takes no more", "ENOSPC", "write");
      done += count;
    }
    this.#size = Math.max(this.#size, at + bytes.length);
  }

  /** Makes it longer, by a hole; never shorter. @param size in bytes @throws VfioError: `EFBIG` and others of ftruncate(2) */
  extend(size: number): void {
    if (size <= this.#size) return;
    this.#do("ftruncate", () => fs.ftruncateSync(this.#open, size));
    this.#size = size;
  }

  /**
   * Has the disk take all of it, and closes it: only its name is missing. For those who give several files their names together,
   * once each can have it. Safe to call twice. @throws VfioError with what the disk says
   */
  sync(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#do("fsync", () => fs.fsyncSync(fd));
    this.#fd = undefined;
    this.#do("close", () => fs.closeSync(fd));
  }

  /** `sync`; then the file takes its name, and the disk takes that. @throws VfioError; the older file is still there then */
  commit(): void {
    if (this.#done) return;
    this.sync();
    this.#do("rename", () => this.#takeName());
    this.#done = true;
    this.#syncFolder();
  }

  #takeName(): void {
    if (!this.#replace) {
      try {
        // A link, unlike a rename, never replaces a file.
        fs.linkSync(this.#temporary, this.#target);
        fs.unlinkSync(this.#temporary);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EEXIST" || code === "ENOENT") throw error;
        // A file system without links: to look must do.
        if (fs.existsSync(this.#target)) throw this.#error("it exists", "EEXIST");
      }
    }
    fs.renameSync(this.#temporary, this.#target);
  }

  /** Without it the name may be lost with the power, though the contents are not. */
  #syncFolder(): void {
    const folder = this.#do("open", () => fs.openSync(dirname(this.#target), "r"));
    try {
      this.#do("fsync", () => fs.fsyncSync(folder));
    } catch (error) {
      // File systems that cannot do it for folders say so by this.
      if ((error as VfioError).code !== "EINVAL") throw error;
    } finally {
      fs.closeSync(folder);
    }
  }

  /** Removes what was written, unless it has its name. Safe to call twice. */
  [Symbol.dispose](): void {
    const fd = this.#fd;
    this.#fd = undefined;
    try {
      if (fd !== undefined) fs.closeSync(fd);
      if (!this.#done) fs.rmSync(this.#temporary, { force: true });
    } catch {
      // It is in nobody's way; and why the writing failed is what its caller is to hear.
    }
    this.#done = true;
  }

  /** Runs a call of `node:fs`, again where a signal ends it. */
  #do<Result>(syscall: string, call: () => Result): Result {
    for (;;)
      try {
        return call();
      } catch (error) {
        if (error instanceof VfioError) throw error;
        const { code = "EIO", errno, message } = error as NodeJS.ErrnoException;
        if (code === "EINTR") continue;
        throw this.#error(message, code, syscall, errno, error);
      }
  }

  #error(why: string, code: string, syscall?: string, errno?: number, cause?: unknown): VfioError {
    return new VfioError(`${this.path}: cannot write it: ${why}`, {
      ...{ code, syscall, cause, hint: hints[code] },
      errno: errno === undefined ? undefined : Math.abs(errno),
    });
  }
}

const full =
  "Make room on the file system, or give a place on another one. A file that was there before is as it was.";
const hints: Readonly<Record<string, string>> = {
  ENOSPC: full,
  EDQUOT: full,
  EISDIR: "Give the name of a file.",
  ENOTREG: "Give the name of a file, not of a device, a pipe or a socket.",
};

/** Writes a whole file by `DurableFile`. @param content text is UTF-8 @throws VfioError; the older file is still there then */
export function writeDurably(path: string, content: string | Uint8Array, options?: DurableFileOptions): void {
  using file = new DurableFile(path, options);
  file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
  file.commit();
}
