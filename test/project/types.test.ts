// tsd can be green without having opened a test file. So `npm run test:types` runs here on a copy in which every type
// test has one more line, a wrong one, and beside which lies a fixture that is wrong throughout.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Outcome, Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

const box = new Sandbox();
const names = readdirSync(join(root, "test-d")).filter((name) => name.endsWith(".test-d.ts"));
const expected: string[] = [];
/** Files of `test-d/must-fail`, and the lines that must not pass. */
const fixtures: Readonly<Record<string, { readonly why: string; readonly lines: readonly number[] }>> = {
  bdf: { why: "tsd reads its files", lines: [5, 6, 7] },
  rooms: {
    why: "passthrough, pci and backends take registers of a map, and no bare number",
    lines: [12, 13, 14, 15, 16, 17, 18, 19],
  },
};
const wrongLines = Object.values(fixtures).flatMap(({ lines }) => lines).length;
let outcome: Outcome;
let found: string[] = [];

/** `path:line` of every error that tsd printed, below the heading of its file. */
function errors(printed: string): string[] {
  let path = "";
  return printed.split("\n").flatMap((line) => {
    path = /^\s*(\S+\.ts):\d+:\d+$/.exec(line)?.[1] ?? path;
    const place = /^\s*✖\s+(\d+):\d+/.exec(line)?.[1];
    return place === undefined ? [] : [`${path}:${place}`];
  });
}

beforeAll(() => {
  box.copy(["package.json", "tsconfig.json", "scripts"]);
  box.link(join(root, "node_modules"), "node_modules");
  box.link(join(root, "src"), "src");
  for (const name of names) {
    const text = readFileSync(join(root, "test-d", name), "utf8").trimEnd();
    box.write(`test-d/${name}`, `${text}\nimport { expectType as opened } from "tsd"; opened<never>(0);\n`);
    expected.push(`test-d/${name}:${text.split("\n").length + 1}`);
  }
  for (const name of Object.keys(fixtures))
    box.write(
      `test-d/must-fail/${name}.test-d.ts`,
      readFileSync(join(root, `test-d/must-fail/${name}.ts`), "utf8"),
    );
  outcome = box.run(["sh", "scripts/test", "types"]);
  found = errors(outcome.stdout + outcome.stderr);
}, 120_000);

afterAll(() => box[Symbol.dispose]());

test("every type test is opened", () => {
  expect(names.length).toBeGreaterThan(0);
  expect(found.filter((place) => !place.includes("must-fail")).sort()).toEqual(expected.sort());
});

for (const [name, { why, lines }] of Object.entries(fixtures))
  test(`the fixture that must fail does, on each of its wrong lines: ${why}`, () => {
    const places = lines.map((line) => `test-d/must-fail/${name}.test-d.ts:${line}`);
    expect(found.filter((place) => place.includes(`must-fail/${name}.`))).toEqual(places);
  });

test("the command exits with 1 and names the step", () => {
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toContain("== failed: types");
  expect(outcome.stdout + outcome.stderr).toContain(`${expected.length + wrongLines} errors`);
});
