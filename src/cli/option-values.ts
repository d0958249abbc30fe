// Values of options, as people write them.
import { InvalidArgumentError } from "commander";
import type { DecodeFormat } from "../regs/decode.ts";

/** Takes a version of the JSON that `show` and `diff` print. */
export const formatVersion = (text: string): DecodeFormat => {
  if (text === "1" || text === "2") return text === "1" ? 1 : 2;
  throw new InvalidArgumentError("It is 1 or 2.");
};

const units: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1 };

/** Takes a time. @returns seconds @throws InvalidArgumentError */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError("It is a time, as 50us, 2ms or 1s.");
  return Number(number) * units[unit!]!;
}

/** Takes a number from 0 to `last`. */
export const upTo =
  (last: number) =>
  (text: string): number => {
    if (/^\d{1,5}$/.test(text) && Number(text) <= last) return Number(text);
    throw new InvalidArgumentError(`It is a number from 0 to ${last}.`);
  };
