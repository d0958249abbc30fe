// Folders and processes for the tests that use the project as a person would: copied, packed, installed.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./tree.ts";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of its own below the system's temporary one, removed on dispose. */
export class Sandbox implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "bun-vfio-"));

  /** Writes a file, text as given or a value as JSON, and returns its path. */
  write(name: string, content: string | object, mode = 0o644): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode });
    return path;
  }

  /** Copies files and folders of the project, under the same names. */
  copy(names: readonly string[], to = ""): void {
    for (const name of names) cpSync(join(root, name), join(this.path, to, name), { recursive: true });
  }

  /** The project's sources and settings: programs here find the package by them, as in the project itself. */
  linkSources(): void {
    this.copy(["tsconfig.json"]);
    for (const name of ["node_modules", "src"]) this.link(join(root, name), name);
  }

  link(target: string, name: string): void {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  }

  /**
   * Runs a command to its end, with no input. What it counts is its own: the folder of reports of the run that this
   * is a test of is not passed on.
   */
  run(
    command: readonly string[],
    options: { cwd?: string; env?: Record<string, string | undefined> } = {},
  ): Outcome {
    const result = Bun.spawnSync({
      cmd: [...command],
      cwd: join(this.path, options.cwd ?? ""),
      env: { ...(options.env ?? process.env), BUN_VFIO_JUNIT: undefined },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    return { code: result.exitCode, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
