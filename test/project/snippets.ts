// The TypeScript of a page: it runs, the values that it states are true, and it has no type error. Snippets that open
// a device run in test/vm/suite/docs.test.ts, where there are devices.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, checkedModule, opensDevice } from "./markdown.ts";
import { root } from "../support/tree.ts";

/** Tests each snippet of a page. @param page as `docs/ffi.md` @param values that a snippet states at least */
export function testSnippets(page: string, values: number): void {
  const snippets = blocksOf(readFileSync(join(root, page), "utf8")).filter(
    ({ language }) => language === "ts",
  );
  describe(`${page} snippets`, () => {
    // Inside of the project, where its name resolves to its sources.
    const cache = join(root, ".cache");
    let folder: string;
    beforeAll(() => {
      mkdirSync(cache, { recursive: true });
      folder = mkdtempSync(join(cache, "snippets-"));
      const config = { extends: "../../tsconfig.json", include: ["*.ts"] };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
      for (const { text, line } of snippets)
        writeFileSync(join(folder, `line-${line}.ts`), checkedModule(text).code);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const bun = (...args: string[]): { code: number; output: string } => {
      const run = Bun.spawnSync([process.execPath, ...args], { cwd: root, stdout: "pipe", stderr: "pipe" });
      return { code: run.exitCode, output: run.stdout.toString() + run.stderr.toString() };
    };

    test("are there, and state values", () => {
      expect(snippets.length).toBeGreaterThan(1);
      for (const { text } of snippets) expect(checkedModule(text).values).toBeGreaterThanOrEqual(values);
    });

    test.each(snippets.filter(({ text }) => !opensDevice(text)).map(({ line }) => line))(
      "the one of line %d runs, and its values are true",
      (line) => {
        expect(bun(join(folder, `line-${line}.ts`))).toEqual({ code: 0, output: "" });
      },
    );

    test("have no type error", () => {
      const { code, output } = bun("check", "--no-script", "-p", folder);
      expect([code, output]).toEqual([0, expect.stringContaining("No type errors")]);
    });
  });
}
