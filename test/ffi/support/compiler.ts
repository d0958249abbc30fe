// What only a C compiler can tell or do: without one, the tests say so, and fail where `CI=true`.
import type { Sandbox } from "../../support/sandbox.ts";
import { testNeeding } from "../../support/needing.ts";

const compiler = Bun.which("cc") ?? Bun.which("gcc");

/** @param options of the compiler, before the source @returns the path of what it makes */
export function compile(sandbox: Sandbox, source: string, ...options: readonly string[]): string {
  const output = `${sandbox.path}/compiled`;
  const run = Bun.spawnSync([compiler!, "-O1", "-Wall", "-Werror", ...options, "-o", output, source], {
    stderr: "pipe",
  });
  if (run.exitCode !== 0) throw new Error(`the C compiler says:\n${run.stderr.toString()}`);
  return output;
}

/** A test that needs the compiler, and the architecture where one is given. */
export function compilerTest(name: string, body: () => void, architecture?: NodeJS.Architecture): void {
  const missing =
    compiler === null
      ? "no C compiler (cc or gcc) is installed"
      : architecture !== undefined && process.arch !== architecture
        ? `it runs on ${architecture} alone`
        : undefined;
  testNeeding(missing, name, body, 60_000);
}
