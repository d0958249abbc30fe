// machines: intel
// takes: 25 s
// The snippets of docs/kernel-devices.md, run where there are such devices.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocksOf, checkedModule } from "../../project/markdown.ts";
import { root } from "../../project/tree.ts";
import { hasIommu, take } from "./support/devices.ts";

const snippets = blocksOf(readFileSync(join(root, "docs/kernel-devices.md"), "utf8")).filter(
  ({ language }) => language === "ts",
);

test("the snippets are there, and state values", () => {
  expect(snippets.length).toBe(3);
  for (const { text } of snippets) expect(checkedModule(text).values).toBeGreaterThan(0);
});

// The page is about devices behind an IOMMU; the machine is started without one for the sake of noiommu alone.
if (hasIommu) {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "snippets-"));
    const paths = { "bun-vfio": [join(root, "src/index.ts")], "bun-vfio/*": [join(root, "src/*/index.ts")] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
    expect([take("edu"), take("nvme")]).toEqual(["0000:01:00.0", "0000:02:00.0"]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(snippets.map(({ line, text }) => [line, text] as const))(
    "the one of line %d runs, and its values are true",
    (line, text) => {
      const file = join(folder, `line-${line}.ts`);
      writeFileSync(file, checkedModule(text).code);
      const run = Bun.spawnSync([process.execPath, file], { stdout: "pipe", stderr: "pipe" });
      expect([run.exitCode, run.stdout.toString() + run.stderr.toString()]).toEqual([0, ""]);
    },
  );
}
