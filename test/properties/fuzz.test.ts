// What `npm run fuzz` makes of a fault: the smallest input, as a test that fails.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Sandbox } from "../support/sandbox.ts";
import { properties } from "./all.ts";
import { fuzzOptions, runFuzz, shares } from "./fuzz-run.ts";
import { harmless, planted } from "./planted.ts";
import type { Property } from "./property.ts";
import { sourceOf } from "./source.ts";

const fuzz = (property: Property, cases: number, seed = 1): { holds: boolean; text: string } => {
  const lines: string[] = [];
  const holds = runFuzz([property], { cases, seed }, (line) => lines.push(line));
  return { holds, text: lines.join("\n") };
};

test("a fault comes out as the smallest input that shows it, in a test that stands beside the property", () => {
  const { holds, text } = fuzz(planted, 5000);
  expect(holds).toBe(false);
  expect(text).toContain("does not hold, seed 1");
  const found = text.slice(text.indexOf("\n// ") + 1);
  expect(found).toContain('planted.check({ "bytes": Uint8Array.fromHex(""), "numbers": [101] });');
  using box = new Sandbox();
  const name = "found.test.ts";
  box.write(name, found.replace('"./planted.ts"', JSON.stringify(join(import.meta.dir, "planted.ts"))));
  const run = box.run([process.execPath, "test", `./${name}`]);
  expect(run.code).toBe(1);
  expect(run.stderr).toContain("(fail) planted: 101 is too large");
});

test("where there is none it says how often what was drawn took effect, the same for the same seed", () => {
  const { holds, text } = fuzz(harmless, 20);
  expect(holds).toBe(true);
  expect(text).toMatch(/^harmless: 20 inputs\n +\d+ {2}none\n20 inputs, seed 1: all properties hold$/);
  expect(fuzz(harmless, 20).text).toBe(text);
  expect(fuzz(harmless, 20, 2).text).not.toBe(text);
});

test("all inputs are tried, in the proportions of the tests", () => {
  for (const cases of [1, 10, 99_999, 1_000_000]) {
    const parts = shares(properties, cases);
    expect(parts.reduce((sum, part) => sum + part, 0)).toBe(cases);
    if (cases > 1000) for (const part of parts) expect(part).toBeGreaterThan(0);
  }
});

test("values are written down as what they are", () => {
  const values = [
    [-0, 0, 1.5, NaN, -Infinity, 2 ** 60, 12n, "a\n\"'\u2028", true, null, undefined],
    { "a b": 1, nested: [{ x: undefined }], ["__proto__"]: 5 },
    [new Uint8Array(4096), Uint8Array.of(1, 0, 2), new Uint8Array(0), Uint8Array.of(7, 0, 0)],
  ];
  for (const value of values)
    expect(new Function(`return ${sourceOf(value)}`)() as unknown).toStrictEqual(value);
  expect(() => sourceOf(new Map())).toThrow("cannot be written down");
});

test("options that make no sense are refused", () => {
  for (const args of [
    ["--cases", "0"],
    ["--cases", "x"],
    ["--seed=-1"],
    ["--seed", "-1"],
    ["--seed", "0.5"],
    ["--only", "nothing"],
    ["--no-such"],
    ["more"],
  ])
    expect([args, typeof fuzzOptions(args, properties)]).toEqual([args, "string"]);
  expect(fuzzOptions([], properties)).toEqual({ chosen: properties, cases: 1_000_000, seed: 1 });
  expect(fuzzOptions(["--only", "planted", "--seed", "7"], [planted])).toMatchObject({ seed: 7 });
});
