// Which test files there are, and on which machines each runs.
import { join } from "node:path";
import { fileText } from "./cache.ts";

/** The machines that a test file names in its line `// machines: a, b`; undefined where it has none. */
export function machinesOf(text: string): string[] | undefined {
  const line = /^\/\/ machines:(.*)$/m.exec(text);
  return line?.[1]!.split(",").map((name) => name.trim());
}

/** Seconds that a test file says it takes, in a line `// takes: 60 s`. What takes long is begun first. */
export const secondsOf = (text: string): number => Number(/^\/\/ takes: (\d+) s$/m.exec(text)?.[1] ?? 5);

/**
 * @param patterns globs below the tree, or paths
 * @returns for each machine its files, below the tree, those that take long first
 * @throws Error for a pattern that finds nothing, and a file that names an unknown machine
 */
export function plan(
  tree: string,
  patterns: readonly string[],
  machines: readonly string[],
): Map<string, string[]> {
  const found = new Map(machines.map((name) => [name, [] as string[]]));
  const files = new Set<string>();
  for (const pattern of patterns) {
    const matches = [...new Bun.Glob(pattern).scanSync({ cwd: tree })];
    if (matches.length === 0) throw new Error(`there is no test file ${pattern} in ${tree}`);
    for (const file of matches) files.add(file);
  }
  const read = [...files].sort().map((file) => ({ file, text: fileText(join(tree, file)) }));
  read.sort((a, b) => secondsOf(b.text) - secondsOf(a.text));
  for (const { file, text } of read) {
    const wanted = machinesOf(text) ?? machines;
    for (const name of wanted) {
      const list = found.get(name);
      if (!list) throw new Error(`${file} asks for a machine "${name}": there are ${machines.join(", ")}`);
      list.push(file);
    }
  }
  return found;
}
