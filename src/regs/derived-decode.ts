// The joined and composed values of a map as data and as text.
import type { RegisterBlock } from "./block.ts";
import type { ComposedValue, Derived } from "./derived.ts";
import { derivedValue, isZeroPart, partsOf, pathsOf, type Part } from "./derived-value.ts";
import { isUnknown, noGaps, type Gaps } from "./gaps.ts";
import { asData, hexDigits } from "./hex-text.ts";
import { rawValue } from "./raw-value.ts";
import type { Register } from "./register.ts";

/** Values by their names in the map. */
export type DecodedValues = { readonly [name: string]: ComposedValue };

/** A derived value where it is found. */
export interface FoundValue {
  readonly name: string;
  readonly derived: Derived;
  readonly parts: readonly Part[];
  readonly value: ComposedValue;
}

type Resolved = readonly {
  readonly name: string;
  readonly derived: Derived;
  readonly parts: readonly Part[];
}[];
const resolved = new WeakMap<RegisterBlock, Resolved>();
/** The derived entries of a map with their parts, found once. */
function entriesOf(map: RegisterBlock): Resolved {
  let entries = resolved.get(map);
  if (!entries) {
    entries = Object.entries(map.derived).map(([name, derived]) => ({
      name,
      derived,
      parts: partsOf(name, derived, map.registers),
    }));
    resolved.set(map, entries);
  }
  return entries;
}

/** Every derived value of a map whose first byte lies at `base`: those that mean something, and lie inside of the image, outside of `gaps`. */
export function foundValues(
  map: RegisterBlock,
  config: Uint8Array,
  base: number,
  gaps: Gaps = noGaps,
): FoundValue[] {
  const found: FoundValue[] = [];
  let memory: DataView | undefined;
  for (const { name, derived, parts } of entriesOf(map)) {
    memory ??= new DataView(config.buffer, config.byteOffset, config.byteLength);
    const view = memory;
    const missing = parts.findIndex(({ register }) => !isRead(register, config, base, gaps));
    if (missing >= 0 && missing < neededParts(derived)) continue;
    const known = missing < 0 ? parts : parts.slice(0, missing);
    const value = derivedValue(derived, known, ({ register }) => rawValue(register, view, base));
    if (value !== undefined) found.push({ name, derived, parts, value: asData(value) });
  }
  return found;
}

const neededParts = (derived: Derived): number =>
  (derived.kind === "composed" ? derived.needed : undefined) ?? Infinity;

/**
 * Paths of registers and fields that are parts of no value of `found`, and of a value that they do not have though not all of
 * them are 0: with an encoding that is reserved, or where one of them is not there.
 */
export function untoldParts(
  map: RegisterBlock,
  config: Uint8Array,
  base: number,
  found: readonly FoundValue[],
  gaps: Gaps = noGaps,
): ReadonlySet<string> {
  const untold = new Set<string>();
  const entries = entriesOf(map);
  if (entries.length === found.length) return untold;
  const told = new Set(found.flatMap(({ derived }) => pathsOf(derived)));
  const names = new Set(found.map(({ name }) => name));
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  for (const { name, derived, parts } of entries) {
    if (names.has(name)) continue;
    const isWhole = parts.every(({ register }) => isRead(register, config, base, gaps));
    // Where a part is missing, the value begins in the first one all the same.
    const rest = pathsOf(derived).flatMap((path, at) =>
      told.has(path) && (isWhole || at > 0) ? [] : [{ path, part: parts[at]! }],
    );
    const isSome = rest.some(
      ({ part }) =>
        isRead(part.register, config, base, gaps) && !isZeroPart(part, rawValue(part.register, memory, base)),
    );
    if (isSome) for (const { path } of rest) untold.add(path);
  }
  return untold;
}

/** Whether a register of a map at byte `base` lies inside of the image, and outside of `gaps`. */
export const isRead = ({ at, width }: Register, config: Uint8Array, base: number, gaps: Gaps): boolean =>
  base + at + width / 8 <= config.length && !isUnknown(gaps, base + at, width / 8);

/** The same as plain data. */
export const decodeValues = (
  map: RegisterBlock,
  config: Uint8Array,
  base = 0,
  gaps: Gaps = noGaps,
): DecodedValues =>
  Object.fromEntries(foundValues(map, config, base, gaps).map(({ name, value }) => [name, value]));

/** A derived value in words. */
export function derivedText({ derived, value }: Pick<FoundValue, "derived" | "value">): string {
  if (derived.kind === "composed" && derived.text) return derived.text(value as never);
  return plainText(value, derived.hex === true) + (derived.unit ?? "");
}

function plainText(value: ComposedValue, isHex: boolean): string {
  if (Array.isArray(value)) return value.map((one: ComposedValue) => plainText(one, isHex)).join(" ");
  if (typeof value === "number" && isHex) return hexDigits(value, 8);
  return typeof value === "string" && value.startsWith("0x") ? value.slice(2) : String(value);
}
