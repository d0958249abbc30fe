import { posix } from "node:path";
import ts from "typescript";
import type { Files, Violation } from "../support/tree.ts";

/** The floors, from the ground up. A file may import from its own floor and from those before it. */
export const floors = ["regs", "ffi", "image", "device", "kvm", "view", "cli"] as const;
type Floor = (typeof floors)[number];

/** `src/index.ts` is the face of the device floor; any other file belongs to the folder it is in. */
function floorOf(path: string): Floor | undefined {
  if (path === "src/index.ts") return "device";
  return floors.find((floor) => path.startsWith(`src/${floor}/`));
}

/** What a file imports, as written: static, type-only, dynamic and `import("...")` types. */
export function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

function target(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

/** Which packages a file may import. Everything else, and Bun's and Node's modules on the lowest floor, is refused. */
function packageAllowed(path: string, name: string): boolean {
  // It runs in a browser, which has none.
  if (path.startsWith("src/view/page/")) return false;
  switch (name) {
    case "typed-struct":
      return path.startsWith("src/regs/ioctl/");
    case "zod":
      return /^src\/(?:image|cli)\/|^src\/device\/passthrough\/(?:.*\/)?[a-z-]+-schema\.ts$|^src\/device\/replay\/flight-schema\.ts$|^src\/kvm\/.*-schema\.ts$/.test(
        path,
      );
    case "commander":
      return path.startsWith("src/cli/");
    default:
      return /^(?:bun$|bun:|node:)/.test(name) && !path.startsWith("src/regs/");
  }
}

/** What the build makes, and the one file that asks for it. */
const readers: Readonly<Record<string, string>> = {
  "dist/view-page.json": "src/view/page-parts.ts",
  "dist/worker-texts.json": "src/ffi/worker-module.ts",
};

/** Imports that go up a floor, leave `src/`, name no existing file, or name a package that this file may not use. */
export function checkImports(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    const floor = floorOf(path);
    if (floor === undefined) {
      violations.push({ path, reason: `belongs to no floor (${floors.join(", ")})` });
      continue;
    }
    for (const specifier of importsOf(text)) {
      const refuse = (why: string): number =>
        violations.push({ path, reason: `imports ${specifier}: ${why}` });
      if (!specifier.startsWith(".")) {
        if (!packageAllowed(path, specifier)) refuse("that package may not be used here");
        continue;
      }
      const to = target(path, specifier);
      // The command prints its version, which is written down there and nowhere else.
      if (to === "package.json" && floor === "cli") continue;
      if (readers[to] === path) continue;
      const below = floorOf(to);
      if (!files.has(to)) refuse("no such file");
      else if (below === undefined) refuse("outside the floors");
      else if (floors.indexOf(below) > floors.indexOf(floor)) refuse(`${floor} may not reach up to ${below}`);
    }
  }
  return violations;
}

/** Import cycles, one violation each, as the round trip they make. Type-only imports count as any other. */
export function checkCycles(files: Files): Violation[] {
  const edges = new Map<string, string[]>();
  for (const [path, text] of files) {
    const relative = importsOf(text).filter((specifier) => specifier.startsWith("."));
    edges.set(
      path,
      relative.map((specifier) => target(path, specifier)).filter((to) => files.has(to)),
    );
  }
  const violations: Violation[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      violations.push({ path, reason: `import cycle: ${[...trail.slice(start), path].join(" > ")}` });
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const next of edges.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of files.keys()) visit(path);
  return violations;
}
