// Which test files there are, and on which machines each runs.
import { join } from "node:path";
import { fileText } from "./cache.ts";
import type { Options } from "./options.ts";

/** How much is run: what is quick, all that is proved on each change, or what takes longest, too. */
export const extents = ["quick", "all", "nightly"] as const;
export type Extent = (typeof extents)[number];

/** Machines of a test file, by the least extent of a run in which it runs there. */
export type Wanted = Readonly<Record<Extent, readonly string[]>>;

/** How much these options ask for: of a test file that is named, all; on a machine that is named, too, also what is nightly. */
export function extentOf({ all, nightly, suite, machine }: Options): Extent {
  if (nightly || (suite && machine)) return "nightly";
  return all || suite ? "all" : "quick";
}

const names = (text = ""): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

/** What a test file says in its line `// machines: a, b (c, d) [e]`: a run of everything has c and d, a nightly one e besides; undefined where it has none. */
export function machinesOf(text: string): Wanted | undefined {
  const line = /^\/\/ machines:([^([\n]*)(?:\(([^)\n]*)\))?\s*(?:\[([^\]\n]*)\])?\s*$/m.exec(text);
  return line ? { quick: names(line[1]), all: names(line[2]), nightly: names(line[3]) } : undefined;
}

/** Seconds that a test file says it takes, in a line `// takes: 60 s`. What takes long is begun first. */
export const secondsOf = (text: string): number => Number(/^\/\/ takes: (\d+) s$/m.exec(text)?.[1] ?? 5);

/** Which files run on which machine. */
export interface Plan {
  /** For each machine its files, below the tree, those that take long first. */
  readonly queues: ReadonlyMap<string, string[]>;
  /** For each file that a machine leaves to a longer run, the machine. */
  readonly left: readonly string[];
}

/**
 * @param patterns globs below the tree, or paths
 * @throws Error for a pattern that finds nothing, and a file that names an unknown machine
 */
export function plan(
  tree: string,
  patterns: readonly string[],
  machines: readonly string[],
  extent: Extent,
): Plan {
  const queues = new Map(machines.map((name) => [name, [] as string[]]));
  const files = new Set<string>();
  for (const pattern of patterns) {
    const matches = [...new Bun.Glob(pattern).scanSync({ cwd: tree })];
    if (matches.length === 0) throw new Error(`there is no test file ${pattern} in ${tree}`);
    for (const file of matches) files.add(file);
  }
  const read = [...files].sort().map((file) => ({ file, text: fileText(join(tree, file)) }));
  read.sort((a, b) => secondsOf(b.text) - secondsOf(a.text));
  const left: string[] = [];
  for (const { file, text } of read) {
    const wanted = machinesOf(text) ?? { quick: machines, all: [], nightly: [] };
    const now = extents.slice(0, extents.indexOf(extent) + 1).flatMap((one) => wanted[one]);
    for (const name of extents.flatMap((one) => wanted[one])) {
      const queue = queues.get(name);
      if (!queue) throw new Error(`${file} asks for a machine "${name}": there are ${machines.join(", ")}`);
      if (now.includes(name)) queue.push(file);
      else left.push(name);
    }
  }
  return { queues, left };
}
