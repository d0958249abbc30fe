import { spawnSync } from "bun";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of its own (tmpfs) that holds so many bytes; gone with the block that holds it. */
export class SmallFileSystem implements Disposable {
  /** Its folder. */
  readonly path = mkdtempSync(join(tmpdir(), "small-"));

  /** @param size in bytes, a multiple of the page's @throws Error with what mount(8) says */
  constructor(size: number) {
    const { success, stderr } = spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", this.path]);
    if (success) return;
    rmdirSync(this.path);
    throw new Error(`cannot mount a file system of its own: ${stderr.toString().trim()}`);
  }

  /** The path of a file in it. */
  at(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    spawnSync(["umount", this.path]);
    rmdirSync(this.path);
  }
}

/** Why there can be none here; undefined where there can. */
export function noSmallFileSystem(): string | undefined {
  if (process.getuid?.() !== 0) return "to mount a small file system needs root";
  try {
    using _ = new SmallFileSystem(2 ** 20);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
