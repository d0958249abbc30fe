// A value of several registers or fields: they are there, each once, and their bits fit its type.
import { accessWords } from "../access.ts";
import type { Derived } from "../derived.ts";
import { partsOf, pathsOf, type Part } from "../derived-value.ts";
import { placedMask } from "../field-value.ts";
import type { Registers } from "../register.ts";
import { said } from "../said.ts";
import { checkScale } from "./scale.ts";

/** @throws RangeError for a value that is made of nothing, of the same twice, or of more bits than its type holds */
export function checkDerived(where: string, derived: Derived, registers: Registers): void {
  const paths: unknown = pathsOf(derived);
  if (!Array.isArray(paths) || paths.length === 0 || !paths.every((path) => typeof path === "string"))
    throw new RangeError(
      `"${where}" must be made of registers and fields by their names, not of ${Array.isArray(paths) ? "none" : said(paths)}`,
    );
  const parts = partsOf(where, derived, registers);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw new RangeError(`"${where}" must be made of each part once, not of "${twice}" twice`);
  if (derived.kind === "composed") {
    if (typeof derived.compute !== "function")
      throw new RangeError(`"${where}" must be computed by a function, not by ${said(derived.compute)}`);
    const { needed = 1 } = derived;
    if (!Number.isInteger(needed) || needed < 1 || needed > parts.length)
      throw new RangeError(`"${where}" must need 1 to ${parts.length} of its parts, not ${said(needed)}`);
    if (derived.text !== undefined && typeof derived.text !== "function")
      throw new RangeError(`"${where}" must be put in words by a function, not by ${said(derived.text)}`);
    for (const [index, { width, register, field }] of parts.entries()) {
      if (width > 53 && !derived.big)
        throw new RangeError(
          `"${where}" must be made of parts of 53 bits at most, not of "${paths[index]}" of ${width}: say composedBig(...)`,
        );
      if (accessWords[(field ?? register).access].read === "unreadable")
        throw new RangeError(`"${where}" must be made of what can be read, not of "${paths[index]}"`);
    }
    return;
  }
  checkShared(where, parts);
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  if (width > 64) throw new RangeError(`"${where}" must have 64 bits at most, not ${width}`);
  checkScale(where, derived.scale, width, derived.big === true, "joinedBig(...)");
}

/** @throws RangeError for bits that two parts have, as those of an alias */
function checkShared(where: string, parts: readonly Part[]): void {
  for (const [index, part] of parts.entries())
    for (const other of parts.slice(0, index))
      if (isShared(part, other))
        throw new RangeError(
          `"${where}" must be made of bits once, not of those of "${other.name}" in "${part.name}" too`,
        );
}
function isShared(a: Part, b: Part): boolean {
  const distance = 8 * (b.register.at - a.register.at);
  if (Math.abs(distance) >= 64) return false;
  const shifted = bitsOf(b) << BigInt(64 + distance);
  return ((bitsOf(a) << 64n) & shifted) !== 0n;
}
const bitsOf = ({ register, field }: Part): bigint =>
  field ? placedMask(field) : (1n << BigInt(register.width)) - 1n;
