// The snippets of a page, each as a program of its own, for pages about what only this machine has.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocksOf, checkedModule } from "../../../project/markdown.ts";
import { root } from "../../../project/tree.ts";

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
  const snippets = blocksOf(readFileSync(join(root, page), "utf8")).filter(
    ({ language, text }) => language === "ts" && wanted(text),
  );

  test(`the snippets of ${page} are there, and state values`, () => {
    expect(snippets.length).toBe(count);
    for (const { text } of snippets) expect(checkedModule(text).values).toBeGreaterThan(0);
  });

  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "snippets-"));
    const paths = { "bun-vfio": [join(root, "src/index.ts")], "bun-vfio/*": [join(root, "src/*/index.ts")] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
    prepare();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(snippets.map(({ line, text }) => [line, text] as const))(
    `${page}: the one of line %d runs, and its values are true`,
    (line, text) => {
      const file = join(folder, `line-${line}.ts`);
      writeFileSync(file, checkedModule(text).code);
      const run = Bun.spawnSync([process.execPath, file], { stdout: "pipe", stderr: "pipe" });
      expect([run.exitCode, run.stdout.toString() + run.stderr.toString()]).toEqual([0, ""]);
    },
  );
}
