import { expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { root } from "../support/tree.ts";

const entries = Object.values(manifest.exports).flatMap((target) =>
  typeof target === "string"
    ? []
    : [join(root, target.types.replace("./dist/", "src/").replace(".d.ts", ".ts"))],
);

/** Packages whose files a program has loaded after it has run. */
function loaded(program: string): string[] {
  const text = `${program}; console.log(JSON.stringify(Object.keys(require.cache)));`;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", text], { cwd: root });
  expect(stderr.toString()).toBe("");
  const files = JSON.parse(stdout.toString()) as string[];
  const names = files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []);
  return [...new Set(names)].sort();
}

const imports = entries.map((path) => `import ${JSON.stringify(path)}`).join(";");

test("importing every entry point loads neither zod nor commander", () => {
  expect(entries.length).toBeGreaterThan(5);
  // Loaded later, its two optional imports would fail the test that runs then.
  expect(loaded(imports)).toEqual(["typed-struct"]);
});

test("zod comes with the first image", () => {
  const image = join(root, "src/image/index.ts");
  expect(loaded(`import ${JSON.stringify(image)}`)).toEqual([]);
  const read = `import { readImage } from ${JSON.stringify(image)}; readImage(await Bun.file("images/edu.json").text())`;
  expect(loaded(read)).toEqual(["zod"]);
});
