import ts from "typescript";
import { type Files, type Violation } from "../support/tree.ts";

/** Lines that a source file may have. */
export const maxLines = 300;

/**
 * Files that may be longer, each with its reason. Only tables of data qualify: they are read by looking something up,
 * not from top to bottom.
 */
export const longFiles: ReadonlyMap<string, string> = new Map<string, string>();

/** Source files longer than {@link maxLines}, and exceptions that no longer need to be one. */
export function checkLengths(files: Files, exceptions: ReadonlyMap<string, string> = longFiles): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    const count = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    const excused = exceptions.has(path);
    if (count > maxLines && !excused)
      violations.push({ path, reason: `${count} lines, more than ${maxLines}` });
    if (count <= maxLines && excused) violations.push({ path, reason: "listed as long, but is not" });
  }
  for (const path of exceptions.keys()) {
    if (!files.has(path)) violations.push({ path, reason: "listed as long, but does not exist" });
  }
  return violations;
}

/** File and folder names that are not kebab-case. */
export function checkNames(files: Files): Violation[] {
  return [...files.keys()]
    .filter((path) => !/^src(?:\/[a-z0-9]+(?:-[a-z0-9]+)*)+\.ts$/.test(path))
    .map((path) => ({ path, reason: "is not kebab-case" }));
}

/** What the lowest floor may not even mention: it runs wherever JavaScript does, and does no input or output. */
const runtimeGlobals = new Set([
  "Bun",
  "process",
  "require",
  "console",
  "fetch",
  "setTimeout",
  "setInterval",
]);

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
}

function where(file: ts.SourceFile, node: ts.Node): string {
  return `line ${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** Is this identifier a variable that is used, rather than the name of a property or of a declaration? */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) {
    return node === (ts.isQualifiedName(parent) ? parent.left : parent.expression);
  }
  return !("name" in parent && parent.name === node && !ts.isShorthandPropertyAssignment(parent));
}

/** Uses of Bun's and Node's globals in `src/regs`. `Buffer` is for the ioctl structs alone: typed-struct stands on it. */
export function checkGlobals(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    if (!path.startsWith("src/regs/")) continue;
    const file = parse(path, text);
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node) && isUse(node)) {
        const banned =
          runtimeGlobals.has(node.text) || (node.text === "Buffer" && !path.startsWith("src/regs/ioctl/"));
        if (banned) violations.push({ path, reason: `${where(file, node)} uses ${node.text}` });
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return violations;
}

/** The type `any`, in whatever place, and comments that switch the type checker off. */
export function checkAny(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    const file = parse(path, text);
    const visit = (node: ts.Node): void => {
      if (node.kind === ts.SyntaxKind.AnyKeyword)
        violations.push({ path, reason: `${where(file, node)} uses any` });
      ts.forEachChild(node, visit);
    };
    visit(file);
    const off = /@ts-(?:ignore|nocheck|expect-error)/.exec(text);
    if (off) violations.push({ path, reason: `switches the type checker off with ${off[0]}` });
  }
  return violations;
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
