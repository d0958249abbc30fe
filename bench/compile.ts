// The peers in C: compiled and loaded into this process.
import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A C compiler; null where there is none. */
export const compiler = (): string | null => Bun.which("cc") ?? Bun.which("gcc");

/** What a file of this folder has to offer. @param by `compiler()` */
export function compilePeer<Symbols extends Record<string, FFIFunction>>(
  by: string,
  file: string,
  symbols: Symbols,
): Library<Symbols>["symbols"] {
  const folder = mkdtempSync(join(tmpdir(), "bun-vfio-bench-"));
  try {
    const library = join(folder, "peer.so");
    const source = new URL(file, import.meta.url).pathname;
    const options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread", "-o", library, source];
    const { exitCode, stderr } = Bun.spawnSync([by, ...options], { stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`the C compiler says:\n${stderr.toString()}`);
    return dlopen(library, symbols).symbols;
  } finally {
    // What is loaded stays in memory.
    rmSync(folder, { recursive: true, force: true });
  }
}
