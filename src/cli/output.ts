import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CliError } from "./failure.ts";

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
  const staged: { readonly temporary: string; readonly target: string }[] = [];
  let at = "";
  try {
    for (const { path, text } of files) {
      at = path;
      // A symbolic link stays one: what it points to is replaced.
      const target = kindOf(path) === "file" ? realpathSync(path) : path;
      const temporary = join(
        dirname(target),
        `.${basename(target).slice(0, 100)}.${process.pid}.${staged.length}.tmp`,
      );
      const fd = openSync(temporary, "wx", 0o666);
      staged.push({ temporary, target });
      try {
        writeFileSync(fd, text);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    }
    while (staged.length > 0) {
      const { temporary, target } = staged[0]!;
      at = target;
      place(temporary, target, force);
      staged.shift();
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === "ENOENT"
        ? `the directory ${dirname(at)} does not exist; create it`
        : code === "EEXIST"
          ? "it exists; add --force to replace it"
          : message;
    throw new CliError(`${at}: cannot write it: ${reason}`);
  } finally {
    for (const { temporary } of staged) unlinkSync(temporary);
  }
}

/** Without `force` a file that appeared meanwhile is kept: a link, unlike a rename, never replaces one. */
function place(temporary: string, target: string, force: boolean): void {
  if (!force) {
    try {
      linkSync(temporary, target);
      unlinkSync(temporary);
      return;
    } catch (error) {
      // A file system without links: the check at the start must do.
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" || code === "ENOENT") throw error;
    }
  }
  renameSync(temporary, target);
}
