import { statSync } from "node:fs";
import { dirname } from "node:path";
import { DurableFile } from "../ffi/durable-file.ts";
import { VfioError } from "../ffi/errors.ts";
import { CliError, failureText } from "./failure.ts";

export interface OutputFile {
  readonly path: string;
  readonly text: string;
}

/** Writes to standard output; a reader that left, as `head` does, is no failure. */
export const print = (text: string): void => void process.stdout.write(text);

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

/**
 * Writes files so that each is there as a whole or not at all: all go into temporary files beside their places
 * first, then every one takes its name in one step.
 * @throws CliError; then no file that could not be finished is left
 */
export function writeFiles(files: readonly OutputFile[], force: boolean): void {
  for (const { path } of files) {
    const kind = kindOf(path);
    if (kind === "directory") throw new CliError(`${path}: it is a directory; give the name of a file`);
    if (kind === "other") throw new CliError(`${path}: it is no regular file; give another name`);
    if (kind === "file" && !force) throw new CliError(`${path}: it exists; add --force to replace it`);
  }
  using staged = new DisposableStack();
  let at = "";
  try {
    const written = files.map(({ path, text }) => {
      at = path;
      const file = staged.use(new DurableFile(path, { replace: force }));
      file.write(new TextEncoder().encode(text));
      file.sync();
      return file;
    });
    for (const file of written) {
      at = file.path;
      file.commit();
    }
  } catch (error) {
    if (!(error instanceof VfioError)) throw error;
    if (error.code === "ENOENT")
      throw new CliError(`${at}: cannot write it: the directory ${dirname(at)} does not exist; create it`);
    if (error.code === "EEXIST") throw new CliError(`${at}: it exists; add --force to replace it`);
    throw new CliError(failureText(error));
  }
}
