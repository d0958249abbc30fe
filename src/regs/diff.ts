// What differs between two config spaces, register by register and field by field. Every byte that differs is
// told of: by its field, by the capability that came, went or moved, or else as bytes that no register describes.
import {
  decodeRegisters,
  headerMapOf,
  type DecodedRegister,
  type DecodedValue,
  type DecodeFormat,
} from "./decode.ts";
import { byteDifferences, described, markDescribed, sameBytes } from "./diff-bytes.ts";
import { asData, hex } from "./hex-text.ts";
import { rawValue } from "./raw-value.ts";
import { layoutOf, type ConfigLayout, type LocatedCapability } from "./layout.ts";
import { derivedText, foundValues } from "./derived-decode.ts";
import { valueWidth } from "./field-value.ts";
import { homeOf, pathsOf } from "./derived-value.ts";
import type { RegisterBlock } from "./map.ts";
import type { CapabilityDifference, ConfigDifference, FieldDifference } from "./diff-types.ts";
import type { Register } from "./register.ts";

export type * from "./diff-types.ts";

/** A part of both config spaces that is compared name by name. */
interface Pair {
  readonly where: string;
  readonly from: { readonly map: RegisterBlock; readonly at: number };
  readonly to: { readonly map: RegisterBlock; readonly at: number };
}

/**
 * Compares two config spaces of 64, 256 or 4096 bytes. A capability is matched by its ID and how many of that ID
 * stand before it; registers and fields by name. Empty exactly when all bytes are the same.
 */
export function diffConfig(from: Uint8Array, to: Uint8Array, format: DecodeFormat = 2): ConfigDifference[] {
  const differences: ConfigDifference[] = [];
  if (from.length !== to.length) {
    differences.push({ kind: "size", from: from.length, to: to.length });
    const common = Math.min(from.length, to.length);
    from = from.subarray(0, common);
    to = to.subarray(0, common);
  }
  const a = layoutOf(from);
  const b = layoutOf(to);
  const pairs: Pair[] = [
    { where: "header", from: { map: headerMapOf(a), at: 0 }, to: { map: headerMapOf(b), at: 0 } },
  ];
  const left = new Map(a.capabilities.map((capability, index) => [keyOf(a, index), capability]));
  for (const [index, capability] of b.capabilities.entries()) {
    const key = keyOf(b, index);
    const before = left.get(key);
    left.delete(key);
    const where = placeOf(capability);
    if (!before) {
      differences.push(changeOf("added", undefined, capability));
      continue;
    }
    if (before.offset !== capability.offset) differences.push(changeOf("moved", before, capability));
    pairs.push({
      where,
      from: { map: before.map, at: before.offset },
      to: { map: capability.map, at: capability.offset },
    });
  }
  for (const capability of left.values()) differences.push(changeOf("removed", capability, undefined));
  for (const pair of pairs) fieldDifferences(pair, from, to, format, differences);
  byteDifferences(described(from, a, from, to), described(to, b, from, to), from, to, differences);
  return differences;
}

/**
 * Compares registers of a device, as a BAR has them: field by field, and byte by byte where the map has none.
 * @param map of the registers from byte 0 on @param from bytes, at least the map's size @param to as many
 * @param where for people, as `BAR0`
 */
export function diffRegisters(
  map: RegisterBlock,
  from: Uint8Array,
  to: Uint8Array,
  where: string,
): ConfigDifference[] {
  if (from.length !== to.length || from.length < map.size)
    throw new RangeError(
      `"from" and "to" must be of one size, at least ${map.size} bytes, not ${from.length} and ${to.length}`,
    );
  const differences: ConfigDifference[] = [];
  fieldDifferences({ where, from: { map, at: 0 }, to: { map, at: 0 } }, from, to, 2, differences);
  const [a, b] = [from, to].map((bytes) =>
    markDescribed(new Uint8Array(from.length), map, [bytes, from, to], 0),
  );
  byteDifferences(a!, b!, from, to, differences);
  return differences;
}

const placeOf = ({ name, id, offset }: LocatedCapability): string =>
  `${name === "unknown" ? `unknown ${hex(id)}` : name} @${hex(offset)}`;

function keyOf({ capabilities }: ConfigLayout, index: number): string {
  const { id, extended } = capabilities[index]!;
  let before = 0;
  for (let i = 0; i < index; i++)
    if (capabilities[i]!.id === id && capabilities[i]!.extended === extended) before++;
  return `${extended} ${id} ${before}`;
}

function changeOf(
  kind: CapabilityDifference["kind"],
  from: LocatedCapability | undefined,
  to: LocatedCapability | undefined,
): CapabilityDifference {
  const capability = (to ?? from)!;
  const { id, extended, name } = capability;
  return {
    kind,
    where: placeOf(capability),
    id,
    extended,
    name,
    from: from?.offset ?? null,
    to: to?.offset ?? null,
  };
}

function fieldDifferences(
  pair: Pair,
  from: Uint8Array,
  to: Uint8Array,
  format: DecodeFormat,
  into: ConfigDifference[],
): void {
  const { map } = pair.from;
  if (map === pair.to.map && sameBytes(from, pair.from.at, to, pair.to.at, map.size)) return;
  const before = decodeRegisters(pair.from.map, from, pair.from.at, format === 1 ? 1 : "exact");
  const after = decodeRegisters(pair.to.map, to, pair.to.at, format === 1 ? 1 : "exact");
  const found: FieldDifference[] = [];
  const { told, changes } =
    format === 1 ? { told: new Set<string>(), changes: [] } : valueDifferences(pair, from, to);
  found.push(...changes);
  const placeIn = (name: string): number =>
    (pair.to.map.registers[name] ?? pair.from.map.registers[name])!.at;
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])];
  for (const name of names.sort((x, y) => placeIn(x) - placeIn(y))) {
    const isNew = name in after;
    const side = isNew ? pair.to : pair.from;
    const register = side.map.registers[name]!;
    const label = register.label ?? name;
    const { width, access } = register;
    const place = {
      kind: "field",
      where: pair.where,
      offset: side.at + register.at,
      register: name,
    } as const;
    if (!isNew || !(name in before)) {
      const raw = wholeValue(register, isNew ? to : from, side.at);
      const [old, now] = isNew ? [null, raw] : [raw, null];
      found.push({ ...place, label, from: old, to: now, access, width, hex: true });
      continue;
    }
    for (const [field, old, now] of changedValues(before[name]!, after[name]!)) {
      const described = field === undefined ? undefined : register.fields[field];
      if (told.has(field === undefined ? name : `${name}.${field}`)) continue;
      found.push({
        ...place,
        ...(field !== undefined && { field }),
        label: field === undefined ? label : `${label}: ${described?.label ?? field}`,
        from: old,
        to: now,
        access: described?.access ?? access,
        width: described ? valueWidth(described) : width,
        hex: (described?.hex ?? register.hex) === true,
      });
    }
  }
  into.push(...found.sort((x, y) => x.offset - y.offset));
}

/** What fields mean together and differs, and the paths of the parts: they are told of by it. */
function valueDifferences(
  { where, from: a, to: b }: Pair,
  from: Uint8Array,
  to: Uint8Array,
): { readonly told: ReadonlySet<string>; readonly changes: FieldDifference[] } {
  const told = new Set<string>();
  const changes: FieldDifference[] = [];
  const before = new Map(foundValues(a.map, from, a.at).map((found) => [found.name, found]));
  const after = new Map(foundValues(b.map, to, b.at).map((found) => [found.name, found]));
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(name), after.get(name)];
    const { derived, parts } = (now ?? old)!;
    // Only what both describe: a register that came or went is told of whole.
    if (!(name in a.map.derived) || !(name in b.map.derived)) continue;
    const [oldText, newText] = [old && derivedText(old), now && derivedText(now)];
    if (oldText === newText) continue;
    for (const path of pathsOf(derived)) told.add(path);
    const { name: register, register: { at, access }, field } = parts[0]!; // prettier-ignore
    const label = derived.label ?? name;
    changes.push({
      kind: "field",
      where,
      offset: b.at + at,
      register,
      field: name,
      label: homeOf(parts) === undefined ? label : `${parts[0]!.register.label ?? register}: ${label}`,
      from: oldText ?? null,
      to: newText ?? null,
      access: (field ?? { access }).access,
      width: parts.reduce((sum, { width }) => sum + width, 0),
      hex: false,
      parts: parts.map(({ name: part, fieldName, register: { at: place } }) => ({
        register: part,
        ...(fieldName !== undefined && { field: fieldName }),
        offset: b.at + place,
      })),
    });
  }
  return { told, changes };
}

function wholeValue(register: Register, config: Uint8Array, base: number): DecodedValue {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  return asData(rawValue(register, memory, base));
}

type Change = readonly [field: string | undefined, from: DecodedValue | null, to: DecodedValue | null];

/** The changed values of one register: by field, or the one value of a register without fields. */
function changedValues(from: DecodedRegister, to: DecodedRegister): Change[] {
  if (typeof from !== "object" && typeof to !== "object") return from === to ? [] : [[undefined, from, to]];
  const before = typeof from === "object" ? from : {};
  const after = typeof to === "object" ? to : {};
  return [...new Set([...Object.keys(after), ...Object.keys(before)])]
    .filter((field) => before[field] !== after[field])
    .map((field) => [field, before[field] ?? null, after[field] ?? null]);
}
