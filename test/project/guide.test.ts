// The guide is one program in pieces. It runs in test/vm/suite/guide.test.ts; here it is looked at.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, checkedModule, joined } from "./markdown.ts";
import { Sandbox } from "./sandbox.ts";
import { root } from "./tree.ts";

const minute = 60_000;
const blocks = blocksOf(readFileSync(join(root, "docs/guide.md"), "utf8"));
const snippets = blocks.filter(({ language }) => language === "ts");

test(
  "the guide's program has no type error, and states values",
  () => {
    const { code, values } = checkedModule(joined(snippets));
    expect(values).toBeGreaterThan(15);
    using box = new Sandbox();
    box.copy(["tsconfig.json"]);
    for (const name of ["node_modules", "src"]) box.link(join(root, name), name);
    box.write("guide/program.ts", code);
    const include = ["*.ts"];
    box.write("guide/tsconfig.json", { extends: "../tsconfig.json", include });
    const outcome = box.run([process.execPath, "check", "--no-script", "-p", "guide"]);
    expect([outcome.code, outcome.stdout + outcome.stderr]).toEqual([
      0,
      expect.stringContaining("No type errors"),
    ]);
  },
  minute,
);

test(
  "its commands are there, with their options",
  () => {
    const shell = blocks
      .filter(({ language }) => language === "sh")
      .flatMap(({ text }) => text.trim().split("\n"));
    expect(shell.length).toBe(3);
    for (const line of shell) {
      const words = line.split(" # ")[0]!.trim().split(/\s+/);
      const help = Bun.spawnSync([process.execPath, join(root, "src/cli/main.ts"), words[1]!, "--help"]);
      expect(help.exitCode).toBe(0);
      for (const option of words.filter((word) => word.startsWith("--")))
        expect(help.stdout.toString()).toContain(option);
    }
  },
  minute,
);
