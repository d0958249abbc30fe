// Where the commands write: standard output and standard error as they come, and files that are whole or not there.
import { mkdirSync, rmdirSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { DurableFile } from "../ffi/durable-file.ts";
import { VfioError } from "../ffi/errors.ts";
import { CliError, failureText, oneLine } from "./failure.ts";
import { progress } from "./progress.ts";

export interface OutputFile {
  readonly path: string;
  readonly text: string | Uint8Array;
}

const standardOutput = 1;
/** Characters that wait before they are written. */
const atOnce = 65536;
const retryMilliseconds = 2;

/** Whoever read the output has left, as `head` does: nothing more is wanted, and that is no failure. */
export class ReaderLeft extends Error {
  override readonly name = "ReaderLeft";
}

/**
 * Standard output, written before `write` returns where there is more than a little of it: what is printed does not pile up
 * here when the reader is slower.
 */
export const stdout = {
  waiting: "",

  /** @throws ReaderLeft; CliError where it takes nothing */
  write(text: string): void {
    this.waiting += text;
    if (this.waiting.length >= atOnce) this.flush();
  },

  /** Forgets what was not written yet: of output that is of no use in part. */
  drop(): void {
    this.waiting = "";
  },

  /** @throws as `write` */
  flush(): void {
    const bytes = new TextEncoder().encode(this.waiting);
    this.waiting = "";
    this.writeBytes(bytes);
  },

  /** What is no text, after what waits. @throws as `write` */
  writeBytes(bytes: Uint8Array): void {
    if (this.waiting !== "") this.flush();
    if (bytes.length > 0 && process.stdout.isTTY) progress.clear();
    for (let done = 0; done < bytes.length;)
      try {
        done += writeSync(standardOutput, bytes, done);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "EAGAIN") Bun.sleepSync(retryMilliseconds);
        else if (code === "EPIPE") throw new ReaderLeft();
        else if (code !== "EINTR") throw new CliError(`cannot write the output: ${message}`);
      }
  },
};

/** Writes to standard output. */
export const print = (text: string): void => stdout.write(text);

/** Says something on standard error, in one line: a note, a warning, a failure. */
export function tell(text: string): void {
  progress.clear();
  process.stderr.write(`bun-vfio: ${oneLine(text)}\n`);
}

/** What a path is now; undefined where nothing is. @throws CliError if it cannot be found out */
export function kindOf(path: string): "file" | "directory" | "other" | undefined {
  try {
    const found = statSync(path);
    return found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new CliError(`${path}: cannot write it: ${message}`);
  }
}

/** What kind of files they are to be. */
export interface OutputOptions {
  readonly force: boolean;
  /** For their owner alone: what a device holds. */
  readonly secret?: boolean | undefined;
}

/** Files that get their names together, or none of them. Disposing of it removes what has no name yet. */
export class OutputFiles implements Disposable {
  readonly #options: OutputOptions;
  readonly #staged = new DisposableStack();
  readonly #files = new Map<string, DurableFile>();
  #folder: string | undefined;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** In the order in which they were begun. */
  get paths(): Iterable<string> {
    return this.#files.keys();
  }

  /** Makes a directory, which goes away again if no file gets its name. @throws CliError */
  makeFolder(path: string): void {
    try {
      this.#folder = mkdirSync(path, { recursive: true });
    } catch (error) {
      throw new CliError(`${path}: cannot create it: ${(error as Error).message}`);
    }
  }

  /** Begins a file, for what is written piece by piece; one that was begun before of that name is forgotten. @throws CliError */
  create(path: string): { write(text: string | Uint8Array): void; end(): void } {
    checkPlace(path, this.#options.force);
    const { force, secret } = this.#options;
    const file = written(path, () =>
      this.#staged.use(new DurableFile(path, { replace: force, ...(secret && { secret }) })),
    );
    this.#files.get(path)?.[Symbol.dispose]();
    this.#files.set(path, file);
    return {
      write: (text) =>
        written(path, () => file.write(typeof text === "string" ? new TextEncoder().encode(text) : text)),
      end: () => written(path, () => file.sync()),
    };
  }

  /** A whole file. @throws CliError */
  add({ path, text }: OutputFile): void {
    const file = this.create(path);
    file.write(text);
    file.end();
  }

  /** Gives all of them their names. @throws CliError */
  commit(): void {
    for (const file of this.#files.values()) written(file.path, () => file.commit());
    this.#folder = undefined;
  }

  [Symbol.dispose](): void {
    this.#staged.dispose();
    if (this.#folder === undefined) return;
    try {
      rmdirSync(this.#folder);
    } catch {
      // Somebody else has put something there.
    }
  }
}

/** @throws CliError unless a file may be written there */
function checkPlace(path: string, force: boolean): void {
  const kind = kindOf(path);
  if (kind === "directory") throw new CliError(`${path}: it is a directory; give the name of a file`);
  if (kind === "other") throw new CliError(`${path}: it is no regular file; give another name`);
  if (kind === "file" && !force) throw new CliError(`${path}: it exists; add --force to replace it`);
}

function written<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof VfioError)) throw error;
    if (error.code === "ENOENT")
      throw new CliError(
        `${path}: cannot write it: the directory ${dirname(path)} does not exist; create it`,
      );
    if (error.code === "EEXIST") throw new CliError(`${path}: it exists; add --force to replace it`);
    throw new CliError(failureText(error));
  }
}

/** Writes files so that each is there as a whole or not at all. @throws CliError; then none of them has its name */
export function writeFiles(given: Iterable<OutputFile>, options: OutputOptions): void {
  using files = new OutputFiles(options);
  for (const file of given) files.add(file);
  files.commit();
}
