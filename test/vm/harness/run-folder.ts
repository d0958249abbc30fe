// A folder in the cache for what one run writes. Who is killed does not remove its own: the next run does.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileText } from "./cache.ts";

const prefix = "run-";
/** In a run's folder: who has it. */
const ownerFile = "owner";
const day = 24 * 3600_000;

/**
 * Makes a folder for this run, and removes those of runs that have ended.
 * @param keep it is nobody's: no later run removes it
 */
export function makeRunFolder(cache: string, keep: boolean): string {
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name);
    if (name.startsWith(prefix) && isLeft(folder)) rmSync(folder, { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(cache, prefix));
  if (!keep) writeFileSync(join(folder, ownerFile), `${here()} ${process.pid} ${startOf(process.pid)}`);
  return folder;
}

/** Where process IDs mean the same: this boot, this PID namespace. A cache may be shared by containers, or outlive a boot. */
const here = (): string =>
  `${fileText("/proc/sys/kernel/random/boot_id").trim()} ${readlinkSync("/proc/self/ns/pid")}`;

/** When a process began, in ticks since boot: the same ID may be another's by now. Undefined where there is none. */
function startOf(pid: number): string | undefined {
  try {
    // proc(5): field 22 of all; the name in parentheses, field 2, may hold anything.
    return fileText(`/proc/${pid}/stat`).split(")").at(-1)!.trim().split(" ")[19];
  } catch {
    return undefined;
  }
}

function isLeft(folder: string): boolean {
  const file = join(folder, ownerFile);
  if (!existsSync(file)) return false;
  const [boot, namespace, pid, start] = fileText(file).split(" ");
  // Of somebody whom this process cannot see: no run takes a day.
  if (`${boot} ${namespace}` !== here()) return Date.now() - statSync(file).mtimeMs > day;
  return startOf(Number(pid)) !== start;
}
