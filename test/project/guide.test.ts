// Pages whose snippets are one program, which runs in the virtual machine (test/vm/suite/guide.test.ts, docs.test.ts); here it is
// looked at.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, checkedModule, joined, type Block } from "./markdown.ts";
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

const minute = 60_000;
const blocksIn = (page: string): Block[] => blocksOf(readFileSync(join(root, page), "utf8"));

test.each([
  ["docs/guide.md", 16],
  ["docs/driver-authors.md", 2],
])(
  "%s: its program has no type error, and states %d values at least",
  (page, least) => {
    const snippets = blocksIn(page).filter(({ language }) => language === "ts");
    const { code, values } = checkedModule(joined(snippets));
    expect(values).toBeGreaterThanOrEqual(least);
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
  "the guide's commands are there, with their options",
  () => {
    const shell = blocksIn("docs/guide.md")
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
