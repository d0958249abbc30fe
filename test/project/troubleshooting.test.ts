// docs/troubleshooting.md tells of what tests cause on a real kernel, and of all of that.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { troubles } from "../support/troubleshooting.ts";
import { root } from "../support/tree.ts";

const page = troubles(readFileSync(join(root, "docs/troubleshooting.md"), "utf8"));
const suite = join(root, "test/vm/suite");
const caused = readdirSync(suite)
  .filter((name) => name.endsWith(".test.ts"))
  .flatMap((name) => [...readFileSync(join(suite, name), "utf8").matchAll(/\btrouble\(\s*"([^"]+)"/g)])
  .map((match) => match[1]!);

test("every heading of the page has a test that causes it, and every such test a heading", () => {
  expect(page.map(({ title }) => title).sort()).toEqual(caused.toSorted());
  expect(new Set(caused).size).toBe(caused.length);
  expect(caused.length).toBeGreaterThan(30);
});

test("every heading has the words of the message", () => {
  expect(page.filter(({ message }) => message === "")).toEqual([]);
});
