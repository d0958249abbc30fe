// The comparison as text: a row a path, in columns, without colours, so that it reads the same in a file.
import type { Measured, Row } from "./measure.ts";

/** A path is slower where the median of the rounds' ratios is above this. */
export const slower = 1.1;

/** The middle one, or the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
};

/** The ratio B to A: the median of what each round has, as its two measurements lie side by side. */
export function ratio({ a, b }: Row): number | undefined {
  if (a.rounds.length === 0 || a.rounds.length !== b.rounds.length) return undefined;
  return median(a.rounds.map((value, round) => b.rounds[round]! / value));
}

const units: Readonly<Record<"time" | "bytes", readonly (readonly [number, string])[]>> = {
  time: [
    [1e6, "ms"],
    [1e3, "us"],
    [1, "ns"],
  ],
  bytes: [
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
    [1, "B"],
  ],
};

function amount(values: readonly number[], kind: keyof typeof units): string {
  const middle = median(values);
  const [size, unit] = units[kind].find(([size]) => middle >= size) ?? units[kind].at(-1)!;
  const text = (value: number): string => {
    const scaled = value / size;
    return scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(3);
  };
  return `${text(middle)} ${unit} [${text(Math.min(...values))}-${text(Math.max(...values))}]`;
}

const kept = / keeps$/;
const cell = (path: string, { rounds, failure }: Measured): string =>
  rounds.length > 0
    ? amount(rounds, kept.test(path) ? "bytes" : "time")
    : failure === undefined
      ? ""
      : "failed";

const counts = ["reads", "writes", "calls", "memory"] as const;
type Count = (typeof counts)[number];
const format = (value: number | undefined): string =>
  value === undefined ? "" : Number.isInteger(value) ? String(value) : value.toFixed(2);

/** Both counts where they differ. */
function countCell({ a, b }: Row, name: Count): string {
  const [first, second] = [format(a.counts[name]), format(b.counts[name])];
  return first === second ? first : `${first || "-"} -> ${second || "-"}`;
}

/** What the reader must look at: slower paths, higher counts, paths that cannot be taken. */
export function remarks(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    const { path, a, b } = row;
    const found: string[] = [];
    const times = ratio(row);
    if (times !== undefined && times > slower) found.push(`${path}: ${times.toFixed(2)} times as much`);
    for (const name of ["reads", "writes", "calls"] as const)
      if ((b.counts[name] ?? 0) > (a.counts[name] ?? 0) && a.counts[name] !== undefined)
        found.push(`${path}: more ${name}, ${format(a.counts[name])} -> ${format(b.counts[name])}`);
    for (const [side, { failure }] of [
      ["A", a],
      ["B", b],
    ] as const)
      if (failure !== undefined) found.push(`${path}: cannot be taken in ${side}: ${failure}`);
    return found;
  });
}

/** The comparison, a line a path. */
export function table(rows: readonly Row[], a: string, b: string): string {
  const head = ["path", `A: ${a}`, `B: ${b}`, "B/A", "reads", "writes", "calls", "bytes"];
  const body = rows.map((row) => [
    row.path,
    cell(row.path, row.a),
    cell(row.path, row.b),
    ratio(row)?.toFixed(2) ?? "",
    ...counts.map((name) => countCell(row, name)),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((line) => line[column]!.length)));
  const lines = [head, ...body].map((line) =>
    line
      .map((text, column) => text.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  return lines.join("\n");
}
