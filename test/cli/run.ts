import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dir, "../..");
export const main = join(root, "src/cli/main.ts");

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** Runs the command as a person would, its output into pipes. */
export function bunVfio(args: readonly string[], { cwd = root, env = {}, input }: RunOptions = {}): Run {
  const run = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env["PATH"], ...env },
    ...(input !== undefined && { input }),
    maxBuffer: 2 ** 26,
  });
  if (run.error) throw run.error;
  return { code: run.status, out: run.stdout.toString(), err: run.stderr.toString() };
}

/**
 * Runs the command as one whom file modes bind: as it is, or for root without root's leave to read everything. The
 * project may then be out of reach, so the command is bundled into `folder` and Bun comes as an open file.
 */
export function boundByModes(args: readonly string[], folder: string): Run {
  if (process.getuid?.() !== 0) return bunVfio(args);
  const bundle = join(folder, "bundle.js");
  // typed-struct asks for these two and does without.
  const absent = ["--external=debug", "--external=iconv-lite"];
  const built = spawnSync(process.execPath, [
    "build",
    main,
    "--target=bun",
    ...absent,
    `--outfile=${bundle}`,
  ]);
  if (built.status !== 0) throw new Error(`no bundle: ${built.stderr?.toString()}`);
  const bun = openSync(process.execPath, "r");
  try {
    const drop = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    const run = spawnSync("setpriv", [...drop, "/proc/self/fd/3", bundle, ...args], {
      cwd: folder,
      env: { PATH: process.env["PATH"] },
      stdio: ["ignore", "pipe", "pipe", bun],
    });
    if (run.error) throw run.error;
    return { code: run.status, out: run.stdout!.toString(), err: run.stderr!.toString() };
  } finally {
    closeSync(bun);
  }
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
