// Format 1 is what it was when it was the only one: outputs that were kept from then, whole and as sums.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readLspci } from "../../src/image/index.ts";
import { decodeConfig } from "../../src/regs/index.ts";
import { canonical, format1Samples, sumOf } from "../support/format-1-samples.ts";

const data = join(import.meta.dir, "../data");
const kept = join(data, "format-1");
const read = (name: string): unknown => JSON.parse(readFileSync(join(kept, name), "utf8"));

const whole = readdirSync(kept).filter((name) => name !== "sums.json");
test.each(whole)("%s: as it was", (name) => {
  const dump = readFileSync(join(data, "config-space", name.replace(/json$/, "txt")), "utf8");
  const [device] = readLspci(dump);
  expect(JSON.parse(canonical(decodeConfig(device!.config, 1)))).toEqual(read(name));
});
test("some outputs are kept whole", () => expect(whole.length).toBeGreaterThan(4));

const sums = read("sums.json") as Readonly<Record<string, string>>;
const samples = [...format1Samples()];
test.each(samples.map(([name, configs]) => [name, configs] as const))(
  "%s of random contents: as it was",
  (name, configs) => {
    expect(sumOf(configs.map((config) => decodeConfig(config, 1)))).toBe(sums[name]!);
  },
);

test("a sum is of every capability, and a flipped bit changes it", () => {
  expect(samples.map(([name]) => name)).toEqual(Object.keys(sums));
  for (const [name, configs] of samples) {
    const flipped = configs.map((config) => config.slice());
    flipped[0]![0] = flipped[0]![0]! ^ 1;
    expect(sumOf(flipped.map((config) => decodeConfig(config, 1)))).not.toBe(sums[name]!);
  }
});
