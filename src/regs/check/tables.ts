// What an entry of a map is: a register, a table of registers or of groups, bits, or a value of several.
import { isRegister, type BitArray, type RegisterArray } from "../array.ts";
import { isPlain, type Entry } from "../entries.ts";
import type { Register } from "../register.ts";
import { said } from "../said.ts";
import { checkAccess, checkPlace } from "./register.ts";

const isObject = (what: unknown): what is Readonly<Record<string, unknown>> =>
  typeof what === "object" && what !== null && !Array.isArray(what);

/** Whether it has the parts of a register, whatever they hold: names of a group may be the same. */
const looksLikeRegister = (what: unknown): what is Register =>
  isObject(what) && !("kind" in what) && "at" in what && "width" in what && isObject(what["fields"]);

/** @throws RangeError for what no map can have as an entry, and for a table that cannot be */
export function checkEntry(where: string, entry: unknown): void {
  const kind = isObject(entry) ? entry["kind"] : undefined;
  if (isObject(entry)) checkAliasNames(where, entry["alias"]);
  if (kind === "array") checkArray(where, entry as unknown as RegisterArray);
  else if (kind === "bits") checkBits(where, entry as unknown as BitArray);
  else if (kind !== "joined" && kind !== "composed" && !looksLikeRegister(entry))
    throw new RangeError(`"${where}" must be a register, a table or a value of several, not ${said(entry)}`);
}

function checkAliasNames(where: string, alias: unknown): void {
  const names: readonly unknown[] = Array.isArray(alias) ? alias : [alias];
  if (alias !== undefined && (names.length === 0 || !names.every((name) => typeof name === "string")))
    throw new RangeError(`"${where}" must be an alias of another register, not of ${said(alias)}`);
}

/** Registers that the tables of a map may have: the doorbells of as many queues as NVMe can have, twice. */
const maxRegisters = 2 ** 18;

function checkCount(where: string, count: number, of: string): void {
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`"${where}" must have 1 ${of} or more, not ${said(count)}`);
}

/**
 * Each register of a table is one of the map, and is checked as any other.
 * @param before registers of the tables before
 * @returns those with this one @throws RangeError where they are too many
 */
export function countRegisters(where: string, entry: Entry, before: number): number {
  if (isPlain(entry) || (entry.kind !== "array" && entry.kind !== "bits")) return before;
  const { count } = entry;
  const registers =
    entry.kind === "bits"
      ? Math.ceil(count / entry.width)
      : count * (isRegister(entry.element) ? 1 : Object.keys(entry.element).length);
  if (before + registers > maxRegisters)
    throw new RangeError(
      `"${where}" must have ${maxRegisters} registers at most, with those of the tables before it, not ${before + registers}`,
    );
  return before + registers;
}

function checkArray(
  where: string,
  { count, stride, element, kind: _, alias: __, ...rest }: RegisterArray,
): void {
  checkCount(where, count, "element");
  for (const trait in rest)
    throw new RangeError(`"${where}" must have "${trait}" said of its registers, not of the table`);
  const one = isObject(element) && isRegister(element);
  if (!isObject(element) || (!one && "kind" in element && !isObject(element["kind"])))
    throw new RangeError(
      `"${where}" must be an array of a register or of a group of them, not of ${isObject(element) ? "a table" : said(element)}`,
    );
  const parts: readonly (readonly [string, unknown])[] = one
    ? [[where, element]]
    : Object.entries(element).map(([name, part]) => [`${where}.${name}`, part] as const);
  if (parts.length === 0)
    throw new RangeError(`"${where}" must be an array of a register at least, not of none`);
  let from = Infinity;
  let to = 0;
  for (const [name, part] of parts) {
    if (!looksLikeRegister(part)) throw new RangeError(`"${name}" must be a register, not ${said(part)}`);
    checkAliasNames(name, part.alias);
    checkPlace(name, part.at, part.width);
    from = Math.min(from, part.at);
    to = Math.max(to, part.at + part.width / 8);
  }
  if (!Number.isSafeInteger(stride) || stride < to - from)
    throw new RangeError(
      `"${where}" must have a stride of the ${to - from} bytes of its elements or more, not ${said(stride)}`,
    );
}

function checkBits(where: string, { at, count, access, width }: BitArray): void {
  checkAccess(where, access);
  if (width !== 8 && width !== 16 && width !== 32)
    throw new RangeError(`"${where}" must have registers of 8, 16 or 32 bits, not ${said(width)}`);
  checkCount(where, count, "bit");
  checkPlace(where, at, width);
}
