// The linter's rules, with files made up to break them: what is switched on in biome.jsonc, and only where it should be.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
  box.copy(["biome.jsonc", ".gitignore"]);
});
afterAll(() => box[Symbol.dispose]());

/** The rules that a file breaks. */
function broken(path: string, text: string): string[] {
  box.write(path, text);
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  const { stdout } = box.run([process.execPath, biome, "lint", "--reporter=json", path]);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { category: string }[] };
  return [...new Set(diagnostics.map(({ category }) => category.split("/").at(-1)!))];
}

test.each([
  ["src/regs/a.ts", "export const a = (b: string) => b as any;", "noExplicitAny"],
  ["src/ffi/a.ts", "export type A = Map<string, any[]>;", "noExplicitAny"],
  ["src/ffi/b.ts", "// @ts-ignore\nexport const a: string = 1;", "noTsIgnore"],
  ["src/ffi/msiX.ts", "export const a = 1;", "useFilenamingConvention"],
  ["src/ffi/msi_x.ts", "export const a = 1;", "useFilenamingConvention"],
  ["src/ffi/long.ts", `export const a = [\n${"  1,\n".repeat(279)}];\n`, "noExcessiveLinesPerFile"],
  ["src/regs/b.ts", 'export const a = Bun.file("a");', "noRestrictedGlobals"],
  ["src/regs/c.ts", "export const { env } = process;", "noRestrictedGlobals"],
  ["src/regs/d.ts", "console.log(1);", "noRestrictedGlobals"],
  ["src/regs/e.ts", "export const a = Buffer.alloc(1);", "noRestrictedGlobals"],
  ["src/regs/ioctl/a.ts", "setTimeout(() => {}, 1);", "noRestrictedGlobals"],
  ["src/ffi/c.ts", "export const a = [1].map((b) => {\n  if (b) return b;\n});", "useIterableCallbackReturn"],
  ["test/d.test.ts", "export const a = (b: any) => b;", "noExplicitAny"],
])("%s is refused", (path, text, rule) => {
  expect(broken(path, text)).toEqual([rule]);
});

test.each([
  ["src/regs/f.ts", '// Bun\nexport const a = { process: "Bun" };\nexport const b = a.process;'],
  ["src/regs/ioctl/b.ts", "export const a = Buffer.alloc(1);"],
  ["src/ffi/d.ts", 'export const a = Bun.file("a");'],
  ["src/ffi/e.ts", "[1].forEach((b) => Math.abs(b));"],
  ["src/ffi/short.ts", `export const a = [\n${"  1,\n".repeat(278)}];\n`],
])("%s is not", (path, text) => {
  expect(broken(path, text)).toEqual([]);
});
