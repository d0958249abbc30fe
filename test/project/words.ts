// What the linter cannot say of the project's files: names of folders, comments that switch the type checker off, and
// words that no file may have.
import type { Files, Violation } from "../support/tree.ts";

/** Folders of source files that are not kebab-case; files are the linter's. */
export function checkFolders(files: Files): Violation[] {
  return [...files.keys()]
    .filter((path) => !/^src(?:\/[a-z0-9]+(?:-[a-z0-9]+)*)*\/[^/]+$/.test(path))
    .map((path) => ({ path, reason: "is in a folder that is not kebab-case" }));
}

/** Comments that switch the type checker off. */
export function checkSuppressions(files: Files): Violation[] {
  return [...files].flatMap(([path, text]) => {
    const off = /@ts-(?:ignore|nocheck|expect-error)/.exec(text);
    return off ? [{ path, reason: `switches the type checker off with ${off[0]}` }] : [];
  });
}

/** Addresses of package registries, and folders that exist on one machine only. */
const foreign: readonly [pattern: RegExp, what: string][] = [
  [/\bregistry\.[\w-]+\.[a-z]+/i, "names a package registry"],
  [/^\s*"resolved":/m, "pins where a package came from"],
  [/(?<![\w.}$)~*-])\/(?:work|tmp)(?:\/[\w.-]+|(?=["'`\s)]))/, "names a folder of one machine"],
];

/** Files, of any kind, that mention a machine or a registry. */
export function checkForeign(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    for (const [pattern, what] of foreign) {
      const found = pattern.exec(text);
      if (found === null) continue;
      const line = text.slice(0, found.index).split("\n").length;
      violations.push({ path, reason: `line ${line} ${what}: ${found[0].trim()}` });
    }
  }
  return violations;
}
