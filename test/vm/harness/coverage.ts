// Coverage of several runs as one: lcov's lines are added up.

/** @param reports lcov files @returns for each source file below `src/` its lines and how often each was run */
export function addUp(reports: readonly string[]): Map<string, Map<number, number>> {
  const files = new Map<string, Map<number, number>>();
  for (const report of reports) {
    let lines: Map<number, number> | undefined;
    for (const text of report.split("\n")) {
      if (text.startsWith("SF:")) {
        const name = text.slice(3);
        lines = name.startsWith("src/") ? (files.get(name) ?? new Map<number, number>()) : undefined;
        if (lines) files.set(name, lines);
      } else if (text.startsWith("DA:") && lines) {
        const [line, count] = text.slice(3).split(",").map(Number) as [number, number];
        lines.set(line, (lines.get(line) ?? 0) + count);
      }
    }
  }
  return files;
}

/** As an lcov file again. */
export function lcovOf(files: ReadonlyMap<string, ReadonlyMap<number, number>>): string {
  let text = "";
  for (const [name, lines] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    text += `TN:\nSF:${name}\n`;
    for (const [line, count] of [...lines].sort(([a], [b]) => a - b)) text += `DA:${line},${count}\n`;
    text += `LF:${lines.size}\nLH:${hits(lines)}\nend_of_record\n`;
  }
  return text;
}

const hits = (lines: ReadonlyMap<number, number>): number =>
  [...lines.values()].filter((count) => count > 0).length;

/** How many lines there are in the files that were loaded, and how many were run. */
export function coverageOf(files: ReadonlyMap<string, ReadonlyMap<number, number>>): {
  lines: number;
  run: number;
} {
  let [lines, run] = [0, 0];
  for (const one of files.values()) {
    lines += one.size;
    run += hits(one);
  }
  return { lines, run };
}
