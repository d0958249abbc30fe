// A map is checked when it is made: what is described wrongly is told of before it is ever used.
import { viewName } from "./accessors.ts";
import type { Derived } from "./derived.ts";
import { partsOf } from "./derived-value.ts";
import { isPlain, sortEntries, type Entries } from "./entries.ts";
import type { Field } from "./field.ts";
import { placedBits, placedMask } from "./field-value.ts";
import type { Register, Registers } from "./register.ts";
import { scaledBigint } from "./scale.ts";

const names = /^[a-z][A-Za-z0-9_]*$/i;
/** What accessors call their own, what every object has, and what makes a promise of one. */
const taken: readonly string[] = ["fields", "raw", "then", ...Object.getOwnPropertyNames(Object.prototype)];

/**
 * What a map's entries are, one by one.
 * @throws RangeError as `registerMap` does
 */
export function checkedParts(name: string, size: number, entries: Entries): ReturnType<typeof sortEntries> {
  checkSize(name, size);
  const parts = sortEntries(entries, size);
  const names = new Set(Object.keys(entries));
  for (const key of names) checkName(`${name}.${key}`, key);
  for (const [key, register] of Object.entries(parts.all)) checkRegister(`${name}.${key}`, size, register);
  for (const [key, entry] of Object.entries(entries)) {
    if (!isPlain(entry)) continue;
    for (const field of Object.keys(entry.fields)) {
      checkName(`${name}.${key}.${field}`, field);
      const joined = viewName(key, field);
      if (names.has(joined)) throw new RangeError(`${name}.${joined} would be two things`);
      names.add(joined);
    }
  }
  checkOverlap(name, parts.all);
  for (const [key, derived] of Object.entries(parts.derived))
    checkDerived(`${name}.${key}`, derived, parts.all);
  return parts;
}

/** @throws RangeError for a size that is no number of bytes */
function checkSize(name: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new RangeError(`${name} must have a size of 1 byte or more, not ${size}`);
}

/** @throws RangeError for a name that accessors cannot carry */
function checkName(where: string, name: string): void {
  if (!names.test(name)) throw new RangeError(`${where} is no name for a register or a field`);
  if (taken.includes(name)) throw new RangeError(`${where} is the accessors' own name`);
}

/** @throws RangeError for what does not lie inside the map, whole and aligned, or whose fields do not fit */
function checkRegister(where: string, size: number, register: Register): void {
  const { at, width, fields } = register;
  if (!Number.isInteger(at) || at < 0 || at + width / 8 > size)
    throw new RangeError(`${where} lies outside of the map's ${size} bytes`);
  // 64 bits are reached by halves.
  const alignment = Math.min(4, width / 8);
  if (at % alignment !== 0)
    throw new RangeError(`${where} at byte ${at} is not aligned to ${alignment} bytes`);
  let reset = BigInt(register.reset);
  if (reset < 0n || reset >> BigInt(width) !== 0n)
    throw new RangeError(`${where}: the reset value ${reset} does not fit ${width} bits`);
  // By halves of 32 bits: maps are made at import, and bigints would be most of that time.
  let low = 0;
  let high = 0;
  for (const key in fields) {
    const field = fields[key]!;
    checkField(where, key, width, field);
    const [lowBits, highBits] = halves(field);
    if ((low & lowBits) | (high & highBits)) throw new RangeError(`${where}.${key} overlaps another field`);
    low |= lowBits;
    high |= highBits;
    if (field.reset === undefined) continue;
    const bits = placedMask(field);
    const own = placedBits(`${where}.${key}`, field, field.reset);
    if (reset & bits && (reset & bits) !== own)
      throw new RangeError(`${where}.${key} has two values after a reset`);
    reset |= own;
  }
}

/** A field's bits below and above bit 32 of its register. */
function halves({ hi, lo }: Field): readonly [low: number, high: number] {
  const upTo = (bit: number): number => (bit < 0 ? 0 : bit >= 31 ? -1 : 2 ** (bit + 1) - 1);
  return [upTo(hi) & ~upTo(lo - 1), upTo(hi - 32) & ~upTo(lo - 33)];
}

function checkField(register: string, key: string, width: number, field: Field): void {
  const { hi, lo, values, scale, big } = field;
  const where = `${register}.${key}`;
  if (!(Number.isInteger(lo) && Number.isInteger(hi) && lo >= 0 && hi >= lo && hi < width))
    throw new RangeError(`${where}: bits ${hi}:${lo} do not lie in ${width} bits`);
  const count = hi - lo + 1;
  if (big ? values : count > 53)
    throw new RangeError(`${where} has ${count} bits: its value is a bigint, say big(...)`);
  if (scale) {
    const limit = (1n << BigInt(count)) - 1n;
    if (values) throw new RangeError(`${where} has both names and a scale`);
    if (!big && scaledBigint(scale, limit) > BigInt(Number.MAX_SAFE_INTEGER) && scale.base === undefined)
      throw new RangeError(`${where} can go beyond 2^53: its value is a bigint, say big(...)`);
  }
  if (!values) return;
  const max = 2 ** count - 1;
  const seen = new Map<number, string>();
  for (const [name, named] of Object.entries(values)) {
    if (name.startsWith("reserved("))
      throw new RangeError(`${where}: "${name}" is how values without a name read`);
    for (const bits of typeof named === "number" ? [named] : named) {
      if (!Number.isInteger(bits) || bits < 0 || bits > max)
        throw new RangeError(`${where}: "${name}" is ${bits}, which ${count} bits cannot hold`);
      if (seen.has(bits))
        throw new RangeError(`${where}: "${name}" and "${seen.get(bits)}" are the same value`);
      seen.set(bits, name);
    }
  }
}

/** @throws RangeError for registers that overlap without saying so, and for an alias of nothing */
function checkOverlap(map: string, registers: Registers): void {
  const sorted = Object.entries(registers).sort(([, a], [, b]) => a.at - b.at);
  let last: [name: string, end: number] | undefined;
  for (const [name, register] of sorted) {
    const end = register.at + register.width / 8;
    if (register.alias !== undefined) {
      const of = Object.hasOwn(registers, register.alias) ? registers[register.alias] : undefined;
      if (!of || of === register)
        throw new RangeError(`${map}.${name} is an alias of "${register.alias}", which is no other register`);
      const overlaps = of.at < end && register.at < of.at + of.width / 8;
      if (!overlaps && of.width !== register.width)
        throw new RangeError(
          `${map}.${name} is an alias of "${register.alias}" at another place, but not as wide`,
        );
      continue;
    }
    if (last && register.at < last[1])
      throw new RangeError(`${map}.${name} overlaps ${map}.${last[0]}: say alias(...) where that is meant`);
    if (!last || end > last[1]) last = [name, end];
  }
}

/** @throws RangeError for a derived value that is made of nothing, or of more bits than its type holds */
function checkDerived(where: string, derived: Derived, registers: Registers): void {
  const parts = partsOf(where, derived, registers);
  if (parts.length === 0) throw new RangeError(`${where} is made of nothing`);
  if (derived.kind === "composed") return;
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const max = scaledBigint(derived.scale, (1n << BigInt(width)) - 1n);
  if (derived.big ? width > 64 : max > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RangeError(
      `${where} has ${width} bits, which its type cannot hold${derived.big ? "" : ": say joinedBig(...)"}`,
    );
}
