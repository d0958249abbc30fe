// Which test files there are, and on which machines each runs.
import { join } from "node:path";
import { fileText } from "./cache.ts";

/** Machines of a test file: those of every run, and those of a run of everything. */
export interface Wanted {
  readonly always: readonly string[];
  readonly withAll: readonly string[];
}

const names = (text = ""): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

/** What a test file says in its line `// machines: a, b (c, d)`, where c and d are for a run of everything; undefined where it has none. */
export function machinesOf(text: string): Wanted | undefined {
  const line = /^\/\/ machines:([^(\n]*)(?:\((.*)\))?\s*$/m.exec(text);
  return line ? { always: names(line[1]), withAll: names(line[2]) } : undefined;
}

/** Seconds that a test file says it takes, in a line `// takes: 60 s`. What takes long is begun first. */
export const secondsOf = (text: string): number => Number(/^\/\/ takes: (\d+) s$/m.exec(text)?.[1] ?? 5);

/** Which files run on which machine. */
export interface Plan {
  /** For each machine its files, below the tree, those that take long first. */
  readonly queues: ReadonlyMap<string, string[]>;
  /** For each file that a machine leaves to a run of everything, the machine. */
  readonly left: readonly string[];
}

/**
 * @param patterns globs below the tree, or paths
 * @param all also what files leave to a run of everything
 * @throws Error for a pattern that finds nothing, and a file that names an unknown machine
 */
export function plan(
  tree: string,
  patterns: readonly string[],
  machines: readonly string[],
  all: boolean,
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
    const { always, withAll } = machinesOf(text) ?? { always: machines, withAll: [] };
    for (const name of [...always, ...withAll]) {
      const queue = queues.get(name);
      if (!queue) throw new Error(`${file} asks for a machine "${name}": there are ${machines.join(", ")}`);
      if (all || always.includes(name)) queue.push(file);
      else left.push(name);
    }
  }
  return { queues, left };
}
