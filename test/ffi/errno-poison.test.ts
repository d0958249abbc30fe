// Another call of the C library, of the engine's, may come between a call and whoever looks at its errno. In a process where
// every such call leaves an errno of its own behind, each failure still has the right one: the kernel's result has it.
import { expect } from "bun:test";
import { join } from "node:path";
import { Sandbox } from "../support/sandbox.ts";
import { compile, compilerTest } from "./support/compiler.ts";

interface Answer {
  readonly wrong: Readonly<Record<string, number>>;
  /** How often the poison was there after a call of the C library itself and one of Bun's. */
  readonly poisoned: number;
}

compilerTest("a failure has its own errno, whatever the runtime calls of the C library meanwhile", () => {
  using sandbox = new Sandbox();
  const library = compile(sandbox, join(import.meta.dir, "support/poison.c"), "-shared", "-fPIC");
  const program = join(import.meta.dir, "support/failing-calls.ts");
  const run = Bun.spawnSync([process.execPath, program], {
    env: { ...process.env, LD_PRELOAD: library },
    stderr: "pipe",
  });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
  const { wrong, poisoned } = JSON.parse(run.stdout.toString()) as Answer;
  expect(wrong).toEqual(Object.fromEntries(Object.keys(wrong).map((name) => [name, 0])));
  expect(Object.keys(wrong).length).toBe(11);
  expect(poisoned).toBeGreaterThan(0);
});
