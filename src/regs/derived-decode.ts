// The joined and composed values of a map as data and as text.
import type { RegisterBlock } from "./block.ts";
import type { ComposedValue, Derived } from "./derived.ts";
import { derivedValue, partsOf, type Part } from "./derived-value.ts";
import { asData, hexDigits } from "./hex-text.ts";
import { rawValue } from "./raw-value.ts";

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

/** Every derived value of a map whose first byte lies at `base`: those that mean something, and lie inside of the image. */
export function foundValues(map: RegisterBlock, config: Uint8Array, base: number): FoundValue[] {
  const found: FoundValue[] = [];
  let memory: DataView | undefined;
  for (const { name, derived, parts } of entriesOf(map)) {
    memory ??= new DataView(config.buffer, config.byteOffset, config.byteLength);
    const view = memory;
    if (parts.some(({ register }) => base + register.at + register.width / 8 > config.length)) continue;
    const value = derivedValue(derived, parts, ({ register }) => rawValue(register, view, base));
    if (value !== undefined) found.push({ name, derived, parts, value: asData(value) });
  }
  return found;
}

/** The same as plain data. */
export const decodeValues = (map: RegisterBlock, config: Uint8Array, base = 0): DecodedValues =>
  Object.fromEntries(foundValues(map, config, base).map(({ name, value }) => [name, value]));

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
