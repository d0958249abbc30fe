// How often the properties are tried: that each is there, and that CI tries them as often as is said.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { properties, runs } from "./runs.ts";

test("every property that has a number of runs is tried, once, and none is without", () => {
  const files = readdirSync(import.meta.dir).filter((name) => name.endsWith(".test.ts"));
  const text = files.map((name) => readFileSync(join(import.meta.dir, name), "utf8")).join("\n");
  const used = [...text.matchAll(/\bruns\("(\w+)"\)/g)].map((match) => match[1]!);
  expect(used.sort()).toEqual(properties.toSorted());
});

test("in CI the properties together are tried 100,000 times, elsewhere each a twentieth of that", () => {
  const tried = (inCi: boolean): number =>
    properties.reduce((sum, property) => sum + runs(property, inCi).numRuns, 0);
  expect(tried(true)).toBeGreaterThanOrEqual(100_000);
  expect(tried(false)).toBe(tried(true) / 20);
  for (const property of properties)
    expect(runs(property).numRuns).toBe(runs(property, "CI" in process.env).numRuns);
});
