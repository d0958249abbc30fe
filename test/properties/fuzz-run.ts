import { parseArgs } from "node:util";
import { foundTest } from "./found.ts";
import { Effects, type Property } from "./property.ts";

/** Inputs that are drawn from one seed: an error is found again in the time that they take. */
const inChunk = 10_000;

export interface FuzzOptions {
  readonly chosen: readonly Property[];
  readonly cases: number;
  readonly seed: number;
}

const flags = {
  cases: { type: "string", default: "1000000" },
  seed: { type: "string", default: "1" },
  only: { type: "string" },
} as const;

/** @returns what is asked for, or what is wrong with it */
export function fuzzOptions(args: readonly string[], properties: readonly Property[]): FuzzOptions | string {
  let given: { cases: string; seed: string; only?: string | undefined };
  try {
    given = parseArgs({ args: [...args], options: flags }).values;
  } catch (error) {
    return (error as Error).message;
  }
  const [cases, seed] = [Number(given.cases), Number(given.seed)];
  if (!Number.isSafeInteger(cases) || cases < 1) return "--cases must be an integer from 1";
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 31) return "--seed must be one from 0 to 2^31 - 1";
  const only = given.only?.split(",");
  const wrong = only?.find((name) => !properties.some((one) => one.name === name));
  if (wrong !== undefined)
    return `no property is called "${wrong}": ${properties.map(({ name }) => name).join(", ")}`;
  return { chosen: properties.filter(({ name }) => only?.includes(name) ?? true), cases, seed };
}

/** How many inputs each property gets: as much of them all as `npm test` gives it. */
export function shares(properties: readonly Property[], cases: number): number[] {
  const all = properties.reduce((sum, { runs }) => sum + runs, 0);
  const parts = properties.map(({ runs }) => Math.floor((cases * runs) / all));
  // What is left by rounding goes to the first ones.
  let left = cases - parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part + Number(left-- > 0));
}

/** What was drawn and how often it took effect, of one property. */
const tally = ({ name }: Property, cases: number, effects: Effects): string =>
  [
    `${name}: ${cases} inputs`,
    ...[...effects.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([effect, count]) => `  ${String(count).padStart(9)}  ${effect}`),
  ].join("\n");

/**
 * Tries so many inputs of the properties together, and tells what came of it.
 * @returns whether they hold of all
 */
export function runFuzz(
  properties: readonly Property[],
  { cases, seed }: { readonly cases: number; readonly seed: number },
  print: (text: string) => void,
): boolean {
  const parts = shares(properties, cases);
  for (const [index, property] of properties.entries()) {
    const effects = new Effects();
    const part = parts[index]!;
    for (let done = 0; done < part; done += inChunk) {
      const chunk = (seed + done / inChunk) % 2 ** 31;
      const found = property.fails(Math.min(inChunk, part - done), chunk, effects);
      if (!found) continue;
      print(tally(property, done, effects));
      print(`${property.name} does not hold, seed ${chunk}. As test/properties/found.test.ts:\n`);
      print(foundTest(property, found));
      return false;
    }
    print(tally(property, part, effects));
  }
  print(`${cases} inputs, seed ${seed}: all properties hold`);
  return true;
}
