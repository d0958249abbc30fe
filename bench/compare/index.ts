// `npm run bench -- --compare REV`: two revisions of this repository, path by path.
import { join } from "node:path";
import { compare } from "./measure.ts";
import { checkOut, workingTree } from "./revision.ts";
import { remarks, slower, table } from "./table.ts";

const repository = join(import.meta.dir, "../..");
const usage = "usage: bench --compare REV | REV..REV [--smoke]";

/**
 * Compares a revision with the files that lie here, or two revisions, and prints a table.
 * @param args what follows `--compare`
 * @returns an exit status: 1 where a revision is not to be had or a smoke run failed, 2 for a wrong usage
 */
export function compareRevisions(args: readonly string[]): number {
  const [range, ...rest] = args;
  if (range === undefined || range.startsWith("-") || rest.some((flag) => flag !== "--smoke")) {
    console.error(usage);
    return 2;
  }
  try {
    return compareRange(range, rest.includes("--smoke"));
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  }
}

function compareRange(range: string, smoke: boolean): number {
  const [first, second] = range.split("..");
  using a = checkOut(repository, first!);
  using b = second ? checkOut(repository, second) : workingTree(repository);
  const progress = (what: string): void => void (process.stderr.isTTY && console.error(what));
  const rows = compare(a, b, { rounds: smoke ? 1 : 5, smoke }, progress);
  console.log(table(rows, a.name, b.name));
  if (smoke) return rows.some(({ a, b }) => a.failure ?? b.failure) ? 1 : 0;
  const notes = remarks(rows);
  const none = `nothing above ${slower.toFixed(2)}, no count higher`;
  console.log(`\n${notes.length > 0 ? notes.join("\n") : none}`);
  return 0;
}
