// Some inputs of each property, the same in every run.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { properties } from "./all.ts";
import { foundTest } from "./found.ts";
import { Effects } from "./property.ts";

describe.each(properties.map((one) => [one.says, one] as const))("%s", (_, property) => {
  test(`${property.runs} times`, () => {
    const effects = new Effects();
    const found = property.fails(property.runs, 1, effects);
    if (found)
      throw new Error(`${property.name} does not hold:\n${foundTest(property, found)}`, {
        cause: found.error,
      });
    expect(property.reaches.filter((effect) => effects.of(effect) === 0)).toEqual([]);
  }, 600_000);
});

test("every property is one of all, under its own name and file", () => {
  const named = readdirSync(import.meta.dir)
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .flatMap((file) =>
      [...readFileSync(join(import.meta.dir, file), "utf8").matchAll(/export const (\w+) = property\(/g)].map(
        (match) => `${file} ${match[1]}`,
      ),
    );
  expect(properties.map(({ file, name }) => `${file} ${name}`).sort()).toEqual(named.sort());
});
