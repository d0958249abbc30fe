// A map is checked when it is made: what is described wrongly is told of before it is ever used.
import type { Derived } from "./derived.ts";
import { partsOf } from "./derived-value.ts";
import type { Field } from "./field.ts";
import { placedBits, placedMask } from "./field-value.ts";
import type { Register, Registers } from "./register.ts";
import { scaledBigint } from "./scale.ts";

const names = /^[a-z][A-Za-z0-9_]*$/i;
/** What accessors call their own. */
const taken: readonly string[] = ["fields", "raw"];

/** @throws RangeError for a name that accessors cannot carry */
export function checkName(where: string, name: string): void {
  if (!names.test(name)) throw new RangeError(`${where} is no name for a register or a field`);
  if (taken.includes(name)) throw new RangeError(`${where} is the accessors' own name`);
}

/** @throws RangeError for what does not lie inside the map, whole and aligned, or whose fields do not fit */
export function checkRegister(where: string, size: number, register: Register): void {
  const { at, width, fields } = register;
  if (!Number.isInteger(at) || at < 0 || at + width / 8 > size)
    throw new RangeError(`${where} lies outside of the map's ${size} bytes`);
  // 64 bits are reached by halves.
  const alignment = Math.min(4, width / 8);
  if (at % alignment !== 0)
    throw new RangeError(`${where} at byte ${at} is not aligned to ${alignment} bytes`);
  let used = 0n;
  let reset = BigInt(register.reset);
  if (reset < 0n || reset >> BigInt(width) !== 0n)
    throw new RangeError(`${where}: the reset value ${reset} does not fit ${width} bits`);
  for (const [key, field] of Object.entries(fields)) {
    checkField(`${where}.${key}`, width, field);
    const bits = placedMask(field);
    if (used & bits) throw new RangeError(`${where}.${key} overlaps another field`);
    used |= bits;
    if (field.reset === undefined) continue;
    const own = placedBits(`${where}.${key}`, field, field.reset);
    if (reset & bits && (reset & bits) !== own)
      throw new RangeError(`${where}.${key} has two values after a reset`);
    reset |= own;
  }
}

function checkField(where: string, width: number, field: Field): void {
  const { hi, lo, values, scale, big } = field;
  if (!(Number.isInteger(lo) && Number.isInteger(hi) && lo >= 0 && hi >= lo && hi < width))
    throw new RangeError(`${where}: bits ${hi}:${lo} do not lie in ${width} bits`);
  const count = hi - lo + 1;
  const limit = (1n << BigInt(count)) - 1n;
  if (big ? values : count > 53)
    throw new RangeError(`${where} has ${count} bits: its value is a bigint, say big(...)`);
  if (scale) {
    if (values) throw new RangeError(`${where} has both names and a scale`);
    if (!big && scaledBigint(scale, limit) > BigInt(Number.MAX_SAFE_INTEGER) && scale.base === undefined)
      throw new RangeError(`${where} can go beyond 2^53: its value is a bigint, say big(...)`);
  }
  const seen = new Map<number, string>();
  for (const [name, named] of Object.entries(values ?? {})) {
    if (name.startsWith("reserved("))
      throw new RangeError(`${where}: "${name}" is how values without a name read`);
    for (const bits of typeof named === "number" ? [named] : named) {
      if (!Number.isInteger(bits) || bits < 0 || BigInt(bits) > limit)
        throw new RangeError(`${where}: "${name}" is ${bits}, which ${count} bits cannot hold`);
      if (seen.has(bits))
        throw new RangeError(`${where}: "${name}" and "${seen.get(bits)}" are the same value`);
      seen.set(bits, name);
    }
  }
}

/** @throws RangeError for registers that overlap without saying so, and for an alias of nothing */
export function checkOverlap(map: string, registers: Registers): void {
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
export function checkDerived(where: string, derived: Derived, registers: Registers): void {
  const parts = partsOf(where, derived, registers);
  if (parts.length === 0) throw new RangeError(`${where} is made of nothing`);
  if (derived.kind === "composed") return;
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const most = scaledBigint(derived.scale, (1n << BigInt(width)) - 1n);
  if (derived.big ? width > 64 : most > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RangeError(
      `${where} has ${width} bits, which its type cannot hold${derived.big ? "" : ": say joinedBig(...)"}`,
    );
}
