// Measures two revisions in turns, A B A B: a machine may be slow for longer than one measurement takes.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entryPoints } from "./library.ts";
import type { Checkout } from "./revision.ts";
import type { Findings, Mode } from "./subject.ts";

/** What is found of one path in one revision. */
export interface Measured {
  /** Of each round; in nanoseconds, but bytes for what is kept. Empty for a path that is only counted. */
  readonly rounds: readonly number[];
  /** An operation: bytes of JavaScript's heap, reads and writes of the device, system calls. */
  readonly counts: Readonly<Partial<Record<Exclude<Mode, "time">, number>>>;
  /** Why the path cannot be taken in this revision. */
  readonly failure?: string;
}

/** A path in both revisions. */
export interface Row {
  readonly path: string;
  readonly a: Measured;
  readonly b: Measured;
}

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Runs everything, and measures nothing. */
  readonly smoke: boolean;
}

const here = import.meta.dir;
const modes = ["memory", "reads", "writes", "calls"] as const;

function spawn(cmd: string[], env: Record<string, string> = {}): { text: string; cpu: number } {
  const result = Bun.spawnSync({
    cmd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (result.exitCode !== 0) throw new Error(result.stderr.toString().trim().split("\n").at(-1) ?? "");
  return { text: result.stdout.toString(), cpu: 1000 * Number(result.resourceUsage.cpuTime.total) };
}

function subject({ root }: Checkout, mode: Mode, { smoke }: Effort): Findings {
  const flags = smoke ? ["--smoke"] : [];
  const env = mode === "memory" ? { BUN_JSC_useGC: "0" } : {};
  return JSON.parse(
    spawn([process.execPath, join(here, "subject.ts"), root, mode, ...flags], env).text,
  ) as Findings;
}

/** Programs whose processor time counts, in nanoseconds, by name. */
function programs({ root }: Checkout): Readonly<Record<string, string[]>> {
  const command = join(root, "src/cli/main.ts");
  const load = [process.execPath, join(here, "import.ts")];
  return {
    "bun, an empty program": load,
    "import of all entry points": [...load, ...entryPoints(root).values()],
    "bun-vfio --version": [process.execPath, command, "--version"],
    "bun-vfio show nvme.json": [process.execPath, command, "show", join(root, "images/nvme.json")],
  };
}

/** Least of a few runs: a process is started seldom enough for one disturbance to be all that is seen. */
function programTimes(checkout: Checkout, { smoke }: Effort): Findings {
  const least = (cmd: string[]): number =>
    Math.min(...Array.from({ length: smoke ? 1 : 3 }, () => spawn(cmd).cpu));
  const found: Record<string, number | string> = {};
  for (const [name, cmd] of Object.entries(programs(checkout)))
    try {
      found[name] = least(cmd);
    } catch (error) {
      found[name] = (error as Error).message;
    }
  return found;
}

const strace = Bun.which("strace");
const seen = "trace=%file,ioctl,pread64,pwrite64,mmap";
/** System calls on files and memory that a program makes; nothing where there is no strace. */
function programCalls(checkout: Checkout): Findings {
  const found: Record<string, number | string> = {};
  if (!strace) return found;
  const folder = mkdtempSync(join(tmpdir(), "bun-vfio-strace-"));
  const log = join(folder, "log");
  for (const [name, cmd] of Object.entries(programs(checkout)))
    try {
      spawn([strace, "-f", "-qq", "-e", seen, "-o", log, ...cmd]);
      found[name] = readFileSync(log, "utf8").match(/^\d+ +\w+\(/gm)?.length ?? 0;
    } catch (error) {
      found[name] = (error as Error).message;
    }
  rmSync(folder, { recursive: true });
  return found;
}

const number = (value: number | string | undefined): number | undefined =>
  typeof value === "number" ? value : undefined;

/** Measures both, in turns. @param progress is told what is being done */
export function compare(a: Checkout, b: Checkout, effort: Effort, progress: (what: string) => void): Row[] {
  const both = [a, b] as const;
  const timed = both.map((): Findings[] => []);
  for (let round = 1; round <= effort.rounds; round++) {
    progress(`round ${round} of ${effort.rounds}`);
    both.forEach((checkout, i) =>
      timed[i]!.push({ ...subject(checkout, "time", effort), ...programTimes(checkout, effort) }),
    );
  }
  progress("counts");
  const counted = both.map(
    (checkout) =>
      new Map<string, Findings>([
        ...modes.map((mode) => [mode, subject(checkout, mode, effort)] as const),
        ["calls", { ...subject(checkout, "calls", effort), ...programCalls(checkout) }] as const,
      ]),
  );
  const measured = (path: string, i: number): Measured => {
    const values = timed[i]!.map((findings) => findings[path]);
    const counts = modes.map((mode) => [mode, counted[i]!.get(mode)![path]] as const);
    const failure = [...values, ...counts.map(([, value]) => value)].find(
      (value) => typeof value === "string",
    );
    return {
      rounds: values.flatMap((value) => number(value) ?? []),
      counts: Object.fromEntries(
        counts.flatMap(([mode, value]) => (typeof value === "number" ? [[mode, value]] : [])),
      ),
      ...(failure === undefined ? {} : { failure }),
    };
  };
  const names = both.flatMap((_, i) => [
    ...timed[i]!.flatMap((findings) => Object.keys(findings)),
    ...[...counted[i]!.values()].flatMap((findings) => Object.keys(findings)),
  ]);
  return [...new Set(names)].map((path) => ({ path, a: measured(path, 0), b: measured(path, 1) }));
}
