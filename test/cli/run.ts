import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dir, "../..");
const main = join(root, "src/cli/main.ts");

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Runs the command as root without root's leave to read everything; where the tests run as root. */
  readonly withoutOverride?: boolean;
}

/** Runs the command as a person would, its output into pipes. */
export function bunVfio(
  args: readonly string[],
  { cwd = root, env = {}, input, withoutOverride }: RunOptions = {},
): Run {
  const command = [process.execPath, main, ...args];
  // Still root, so that it reaches Bun and the project wherever they lie.
  if (withoutOverride)
    command.unshift("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all");
  const run = spawnSync(command[0]!, command.slice(1), {
    cwd,
    env: { PATH: process.env["PATH"], ...env },
    ...(input !== undefined && { input }),
    maxBuffer: 2 ** 26,
  });
  if (run.error) throw run.error;
  return { code: run.status, out: run.stdout.toString(), err: run.stderr.toString() };
}

/** A directory that goes away with the block that holds it. */
export function temporary(): Disposable & {
  readonly path: string;
  readonly at: (name: string) => string;
  list(): string[];
} {
  const path = mkdtempSync(join(tmpdir(), "bun-vfio-cli-"));
  return {
    path,
    at: (name) => join(path, name),
    list: () => readdirSync(path).sort(),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
