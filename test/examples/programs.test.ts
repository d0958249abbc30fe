// The programs of examples/ where there is no device: how they are called, and what they say of what is missing.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/tree.ts";
import { compileExample } from "../support/vmm-executable.ts";

const run = (program: string, ...args: string[]) => {
  const command = [process.execPath, join(root, "examples", program, "main.ts"), ...args];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  return { exitCode, output: stdout.toString(), errors: stderr.toString() };
};

describe.each(["edu", "nvme"])("examples/%s", (program) => {
  test.each([[[]], [["0000:01:00.0", "--api", "none"]], [["0000:01:00.0", "--colour"]]])(
    "called wrongly (%j), shows how to call it and ends with 2",
    (args) => {
      const { exitCode, output, errors } = run(program, ...args);
      expect([exitCode, output]).toEqual([2, ""]);
      expect(errors).toStartWith(`usage: bun examples/${program}/main.ts BDF`);
    },
  );

  test("without the device, says so, and what to do, and ends with 1", () => {
    const args = program === "edu" ? [] : ["identify"];
    const { exitCode, output, errors } = run(program, "ffff:7f:00.0", ...args, "--api", "group");
    expect([exitCode, output]).toEqual([1, ""]);
    expect(errors).toStartWith(`${program}: `);
    // The reason, and what to do.
    expect(errors.trimEnd().split("\n").length).toBeGreaterThan(1);
  });
});
/** Lines of programs, comments and all. */
const linesOf = (files: readonly string[]): number =>
  files
    .map((file) => readFileSync(file, "utf8").split("\n").length - 1)
    .reduce((sum, count) => sum + count, 0);

test("the NVMe driver can be read in one sitting: less than 300 lines, without the command on it", () => {
  const files = ["registers.ts", "queue.ts", "nvme.ts"];
  expect(linesOf(files.map((name) => join(root, "examples/nvme", name)))).toBeLessThan(300);
});

test.each([
  ["a serial port", ["uart.ts"], 120],
  ["edu", ["edu.ts"], 250],
  ["an NVMe disk", [...new Bun.Glob("nvme/*.ts").scanSync(join(root, "examples/devices"))], 900],
])("%s in TypeScript is as short as it can be copied", (_, files, lines) => {
  expect(linesOf(files.map((name) => join(root, "examples/devices", name)))).toBeLessThan(lines);
});

test("so can the VMM: less than 1,800 lines, with everything", () => {
  const folder = join(root, "examples/vmm");
  const files = [...new Bun.Glob("**/*.ts").scanSync({ cwd: folder })];
  expect(files.length).toBeGreaterThan(10);
  expect(linesOf(files.map((name) => join(folder, name)))).toBeLessThan(1800);
});

test("its executable, as the README makes it, is one file that needs nothing else", () => {
  const folder = mkdtempSync(join(tmpdir(), "executable-"));
  try {
    const file = compileExample(folder);
    expect(readdirSync(folder)).toEqual(["vmm"]);
    const run = (...words: string[]) => Bun.spawnSync([file, ...words], { cwd: folder, env: {} });
    expect(run("--help").stdout.toString()).toStartWith("usage: ");
    const wrong = run("--kernel", join(root, "package.json"));
    expect([wrong.exitCode, wrong.stderr.toString()]).toEqual([1, expect.stringContaining("no bzImage")]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
