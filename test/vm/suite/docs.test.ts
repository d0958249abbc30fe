// machines: intel
// takes: 25 s
// The snippets of the pages on this host's devices, run where there are such devices.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { blocksOf, checkedModule } from "../../project/markdown.ts";
import { root } from "../../project/tree.ts";
import { hasIommu, take } from "./support/devices.ts";

const pages = { "docs/kernel-devices.md": 3, "docs/dma.md": 3 };
const snippets = Object.keys(pages).flatMap((page) =>
  blocksOf(readFileSync(join(root, page), "utf8"))
    .filter(({ language }) => language === "ts")
    .map(({ line, text }) => [page, line, text] as const),
);

test.each(Object.entries(pages))("the snippets of %s are there, and state values", (page, count) => {
  const own = snippets.filter(([name]) => name === page);
  expect(own.length).toBe(count);
  for (const [, , text] of own) expect(checkedModule(text).values).toBeGreaterThan(0);
});

// The pages are about devices behind an IOMMU; the machine is started without one for the sake of noiommu alone.
if (hasIommu) {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "snippets-"));
    const paths = { "bun-vfio": [join(root, "src/index.ts")], "bun-vfio/*": [join(root, "src/*/index.ts")] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
    expect([take("edu"), take("nvme")]).toEqual(["0000:01:00.0", "0000:02:00.0"]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(snippets)("%s: the one of line %d runs, and its values are true", (page, line, text) => {
    const file = join(folder, `${basename(page, ".md")}-${line}.ts`);
    writeFileSync(file, checkedModule(text).code);
    const run = Bun.spawnSync([process.execPath, file], { stdout: "pipe", stderr: "pipe" });
    expect([run.exitCode, run.stdout.toString() + run.stderr.toString()]).toEqual([0, ""]);
  });
}
