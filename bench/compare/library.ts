// The library of one revision, by its public entry points alone: paths inside of it may differ between revisions.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The entry points that are compared, as this revision has them: what another lacks fails where it is used. */
export interface Library {
  readonly device: typeof import("../../src/index.ts");
  readonly regs: typeof import("../../src/regs/index.ts");
  readonly ffi: typeof import("../../src/ffi/index.ts");
  readonly image: typeof import("../../src/image/index.ts");
  /** The text of a file of that revision. */
  text(path: string): string;
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

/** The package.json below `root`. */
const manifestOf = (root: string): Manifest =>
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

/** Where the source of an entry point may be: what Bun loads of it may be built, and its types are made of the source. */
const sourcesOf = ({ bun, types }: Readonly<Record<string, string>>): readonly string[] => [
  ...(bun?.startsWith("./src/") ? [bun] : []),
  ...(types ? [types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "src/$1.ts")] : []),
];

/** The source file of each entry point, by its name in the package's `exports`: `.`, `./regs`. */
export function entryPoints(root: string): ReadonlyMap<string, string> {
  const entries = Object.entries(manifestOf(root).exports);
  return new Map(
    entries.flatMap(([name, targets]) => {
      const sources = typeof targets === "string" ? [] : sourcesOf(targets);
      const source = sources.map((path) => join(root, path)).find(existsSync);
      return source === undefined ? [] : [[name, source] as const];
    }),
  );
}

/** Loads the library below `root`. */
export async function loadLibrary(root: string): Promise<Library> {
  const points = entryPoints(root);
  const load = async (name: string): Promise<unknown> => {
    const path = points.get(name);
    if (path === undefined) throw new Error(`the package in ${root} has no entry point ${name}`);
    return import(path);
  };
  return {
    device: (await load(".")) as Library["device"],
    regs: (await load("./regs")) as Library["regs"],
    ffi: (await load("./ffi")) as Library["ffi"],
    image: (await load("./image")) as Library["image"],
    text: (path) => readFileSync(join(root, path), "utf8"),
  };
}
