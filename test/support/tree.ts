// The project's own files as text, for the checks of this folder. A check takes files and gives violations, so that
// each can also be run on files made up to break it.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Path from the project's root, with forward slashes, to content. */
export type Files = ReadonlyMap<string, string>;

export interface Violation {
  readonly path: string;
  readonly reason: string;
}

export const root = resolve(import.meta.dir, "../..");

const notOurs = new Set(["node_modules", ".git", "dist", ".cache", "coverage", "bun.lock"]);

/** Every text file of a folder, without what is installed or built. A file with a NUL byte is not text. */
export function readTree(folder: string = root): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (at: string): void => {
    for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
      if (at === "" && notOurs.has(entry.name)) continue;
      const path = at === "" ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile() && !path.endsWith(".tgz")) {
        const text = readFileSync(join(folder, path), "utf8");
        if (!text.includes("\0")) files.set(path, text);
      }
    }
  };
  visit("");
  return files;
}

/** The TypeScript files below `src/`. */
export function sources(files: Files): Map<string, string> {
  return new Map([...files].filter(([path]) => path.startsWith("src/") && path.endsWith(".ts")));
}

/** Violations as lines that a failed test prints. */
export function lines(violations: readonly Violation[]): string[] {
  return violations.map(({ path, reason }) => `${path}: ${reason}`);
}
