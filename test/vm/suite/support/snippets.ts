// The snippets of a page, each as a program of its own, for pages about what only this machine has.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocksOf, checkedModule, joined, type Block } from "../../../project/markdown.ts";
import { root } from "../../../support/tree.ts";

const typescript = (page: string): Block[] =>
  blocksOf(readFileSync(join(root, page), "utf8")).filter(({ language }) => language === "ts");

/** A folder for programs that find the package by its name. */
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "snippets-"));
  const paths = { "bun-vfio": [join(root, "src/index.ts")], "bun-vfio/*": [join(root, "src/*/index.ts")] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
  return folder;
}

/** Runs a program that says nothing, and ends well. */
function expectSilence(folder: string, name: string, code: string): void {
  const file = join(folder, name);
  writeFileSync(file, code);
  const run = Bun.spawnSync([process.execPath, file], { stdout: "pipe", stderr: "pipe" });
  expect([run.exitCode, run.stdout.toString() + run.stderr.toString()]).toEqual([0, ""]);
}

/**
 * Tests the snippets of a page as one program.
 * @param page as `docs/guide.md` @param count how many snippets there are @param prepare what they need of the machine
 */
export function testProgram(page: string, count: number, prepare: () => void): void {
  test(`${page}: its ${count} snippets are one program, which runs, and its values are true`, () => {
    const snippets = typescript(page);
    expect(snippets.length).toBe(count);
    prepare();
    const folder = makeFolder();
    try {
      expectSilence(folder, "program.ts", checkedModule(joined(snippets)).code);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/**
 * Tests each snippet of a page.
 * @param page as `docs/kvm.md` @param count how many there are
 * @param prepare what they need of the machine @param wanted which of them, by their text; all without
 */
export function testSnippets(
  page: string,
  count: number,
  prepare: () => void,
  wanted = (_text: string): boolean => true,
): void {
  const snippets = typescript(page).filter(({ text }) => wanted(text));

  test(`the snippets of ${page} are there, and state values`, () => {
    expect(snippets.length).toBe(count);
    for (const { text } of snippets) expect(checkedModule(text).values).toBeGreaterThan(0);
  });

  let folder: string;
  beforeAll(() => {
    folder = makeFolder();
    prepare();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(snippets.map(({ line, text }) => [line, text] as const))(
    `${page}: the one of line %d runs, and its values are true`,
    (line, text) => expectSilence(folder, `line-${line}.ts`, checkedModule(text).code),
  );
}
