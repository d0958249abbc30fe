// The bun-vfio command, as a function: starting a program of its own takes seconds here.
import { spyOn } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stdout } from "../../../../src/cli/output.ts";
import { runCommand } from "../../../../src/cli/program.ts";
import { root } from "../../../support/tree.ts";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command here. */
export function bunVfio(...args: string[]): Run {
  const text = { out: "", err: "" };
  const spies = [
    spyOn(stdout, "write").mockImplementation((chunk) => {
      text.out += chunk;
    }),
    spyOn(process.stderr, "write").mockImplementation((chunk: unknown) => {
      text.err += String(chunk);
      return true;
    }),
  ];
  try {
    return { code: runCommand(args), ...text };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** What `--json` of a command gives. */
export function json<Result>(...args: string[]): Result {
  const { out, err } = bunVfio(...args, "--json");
  if (out === "") throw new Error(err);
  return JSON.parse(out) as Result;
}

/** Runs code in a process of its own that is no longer root; it has `runCommand` and `openDevice`. */
export function asNobody(code: string): Run {
  // The root of an initramfs is nobody else's.
  chmodSync("/", 0o755);
  const src = join(root, "src");
  const script = `
    import { openDevice } from "${src}/device/backends/kernel/open-device.ts";
    import { stdout } from "../../../../src/cli/output.ts";
import { runCommand } from "${src}/cli/program.ts";
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
    ${code}`;
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

/** Runs a shell command of the guest. @throws Error with what it says, where it fails */
export function shell(command: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-c", command]);
  if (exitCode !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  return stdout.toString();
}

/** A folder that goes away with the block that holds it. */
export function temporary(): Disposable & { at(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "bun-vfio-vm-"));
  return {
    at: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
