// One register: where it lies, what software may do to it, its fields and its value after a reset.
import { accessWords } from "../access.ts";
import type { Field } from "../field.ts";
import { placedBits, placedMask } from "../field-value.ts";
import { hasFields, type Register } from "../register.ts";
import { said } from "../said.ts";
import { bitsText, checkField } from "./field.ts";

/** @throws RangeError for what is no access word */
export function checkAccess(where: string, access: unknown): void {
  if (typeof access !== "string" || !Object.hasOwn(accessWords, access))
    throw new RangeError(
      `"${where}" must have an access word (${Object.keys(accessWords).join(", ")}), not ${said(access)}`,
    );
}

/** @throws RangeError for what is no place of a register in any map */
export function checkPlace(where: string, at: unknown, width: unknown): void {
  if (width !== 8 && width !== 16 && width !== 32 && width !== 64)
    throw new RangeError(`"${where}" must have 8, 16, 32 or 64 bits, not ${said(width)}`);
  if (!Number.isSafeInteger(at) || (at as number) < 0)
    throw new RangeError(`"${where}" must lie at a byte of its map, 0 or above, not at ${said(at)}`);
}

/** @throws RangeError for what does not lie inside the map, whole and aligned, or whose fields do not fit */
export function checkRegister(where: string, size: number, register: Register): void {
  const { at, width, access, fields } = register;
  checkPlace(where, at, width);
  if (at + width / 8 > size)
    throw new RangeError(`"${where}" must lie within the map's ${size} bytes, not at byte ${said(at)}`);
  // 64 bits are reached by halves.
  const alignment = Math.min(4, width / 8);
  if (at % alignment !== 0)
    throw new RangeError(`"${where}" must be aligned to ${alignment} bytes, not at byte ${at}`);
  if (access === undefined)
    throw new RangeError(`"${where}" must have an access word or a field at least, not neither`);
  checkAccess(where, access);
  if (register.label !== undefined && typeof register.label !== "string")
    throw new RangeError(`"${where}" must have a text as its label, not ${said(register.label)}`);
  if (register.reset !== undefined) checkReset(where, width, register.reset);
  if (hasFields(register)) checkFields(where, register, fields);
}

function checkReset(where: string, width: number, reset: unknown): void {
  const isWhole = typeof reset === "bigint" || Number.isSafeInteger(reset);
  if (!isWhole || BigInt(reset as number) < 0n || BigInt(reset as number) >> BigInt(width) !== 0n)
    throw new RangeError(
      `"${where}" must have an integer of ${width} bits as its reset value, not ${said(reset)}`,
    );
}

function checkFields(where: string, { width, reset }: Register, fields: Register["fields"]): void {
  // By halves of 32 bits: maps are made at import, and bigints would be most of that time.
  let low = 0;
  let high = 0;
  for (const key in fields) {
    const field = fields[key]!;
    const path = `${where}.${key}`;
    checkField(path, width, field);
    checkAccess(path, field.access);
    const [lowBits, highBits] = halves(field);
    if ((low & lowBits) | (high & highBits)) {
      const [other] = Object.entries(fields).find(([, { hi, lo }]) => hi >= field.lo && lo <= field.hi)!;
      throw new RangeError(
        `"${path}" must have bits of its own, not ${bitsText(field)}: "${other}" has them`,
      );
    }
    low |= lowBits;
    high |= highBits;
    if (field.reset === undefined) continue;
    const own = placedBits(path, field, field.reset);
    if (reset !== undefined && (BigInt(reset) & placedMask(field)) !== own)
      throw new RangeError(
        `"${path}" must have the value that its register's reset value 0x${reset.toString(16)} gives it, not ${said(field.reset)}`,
      );
  }
}

/** A field's bits below and above bit 32 of its register. */
function halves({ hi, lo }: Field): readonly [low: number, high: number] {
  const upTo = (bit: number): number => (bit < 0 ? 0 : bit >= 31 ? -1 : 2 ** (bit + 1) - 1);
  return [upTo(hi) & ~upTo(lo - 1), upTo(hi - 32) & ~upTo(lo - 33)];
}
