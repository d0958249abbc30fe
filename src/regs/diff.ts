// What differs between two config spaces, register by register and field by field. Every byte that differs is
// told of: by its field, by the capability that came, went or moved, or else as bytes that no register describes.
import type { Access } from "./access.ts";
import { decodeRegisters, headerMapOf, type DecodedRegister, type DecodedValue } from "./decode.ts";
import { rawValue } from "./raw-value.ts";
import { layoutOf, type ConfigLayout, type LocatedCapability } from "./layout.ts";
import type { RegisterBlock } from "./map.ts";
import type { Register } from "./register.ts";

/** A field, or a register without fields, that has another value. */
export interface FieldDifference {
  readonly kind: "field";
  /** `header`, or the capability and its offset, as `MSI-X @0x40`. */
  readonly where: string;
  /** Byte offset of the register in the second config space, or in the first where only that one has it. */
  readonly offset: number;
  /** Names of the maps, as in decoded config space. */
  readonly register: string;
  readonly field?: string | undefined;
  /** The names that PCI tools print, as `Control: BusMaster`. */
  readonly label: string;
  /** Null where only the other config space has the register, whose whole value the other side then is. */
  readonly from: DecodedValue | null;
  readonly to: DecodedValue | null;
  readonly access: Access;
  /** In bits. */
  readonly width: number;
  /** The value is one that is printed as hexadecimal. */
  readonly hex: boolean;
}
/** A capability that only one of both has, or that both have at different offsets. */
export interface CapabilityDifference {
  readonly kind: "added" | "removed" | "moved";
  readonly where: string;
  readonly id: number;
  readonly extended: boolean;
  readonly name: string;
  /** Byte offset; null where it was added. */
  readonly from: number | null;
  /** Null where it was removed. */
  readonly to: number | null;
}
/** Bytes of which no register describes all the bits that differ. */
export interface ByteDifference {
  readonly kind: "bytes";
  readonly offset: number;
  /** In hexadecimal; the same length in both. */
  readonly from: string;
  readonly to: string;
}
/** Config spaces of different sizes, in bytes: only what both have is compared. */
export interface SizeDifference {
  readonly kind: "size";
  readonly from: number;
  readonly to: number;
}
/** One thing in which two config spaces differ. */
export type ConfigDifference = FieldDifference | CapabilityDifference | ByteDifference | SizeDifference;

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
export function diffConfig(from: Uint8Array, to: Uint8Array): ConfigDifference[] {
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
  for (const pair of pairs) fieldDifferences(pair, from, to, differences);
  byteDifferences(described(from, a), described(to, b), from, to, differences);
  return differences;
}

const placeOf = ({ name, id, offset }: LocatedCapability): string =>
  `${name === "unknown" ? `unknown 0x${id.toString(16)}` : name} @0x${offset.toString(16)}`;

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

function fieldDifferences(pair: Pair, from: Uint8Array, to: Uint8Array, into: ConfigDifference[]): void {
  const before = decodeRegisters(pair.from.map, from, pair.from.at);
  const after = decodeRegisters(pair.to.map, to, pair.to.at);
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
      into.push({ ...place, label, from: old, to: now, access, width, hex: true });
      continue;
    }
    for (const [field, old, now] of changedValues(before[name]!, after[name]!)) {
      const described = field === undefined ? undefined : register.fields[field];
      into.push({
        ...place,
        ...(field !== undefined && { field }),
        label: field === undefined ? label : `${label}: ${described?.label ?? field}`,
        from: old,
        to: now,
        access: described?.access ?? access,
        width: described ? described.hi - described.lo + 1 : width,
        hex: (described?.hex ?? register.hex) === true,
      });
    }
  }
}

function wholeValue(register: Register, config: Uint8Array, base: number): DecodedValue {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const value = rawValue(register, memory, base);
  return typeof value === "bigint" ? `0x${value.toString(16).padStart(16, "0")}` : value;
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

/** For each byte the bits whose changes are told of by name: all that are decoded, which reserved registers are not. */
function described(config: Uint8Array, layout: ConfigLayout): Uint8Array {
  const bits = new Uint8Array(config.length);
  const mark = (map: RegisterBlock, base: number): void => {
    for (const name of Object.keys(decodeRegisters(map, config, base))) {
      const { at, width } = map.registers[name]!;
      for (let i = at; i < at + width / 8; i++) bits[base + i]! |= map.masks.defined[i]!;
    }
  };
  mark(headerMapOf(layout), 0);
  for (const { map, offset } of layout.capabilities) mark(map, offset);
  return bits;
}

/**
 * Bits that only one side describes belong to a capability that came, went, moved or has another shape; these are
 * told of already. What is left is what neither describes. So with headers of different types, what one has in
 * reserved bytes that the other describes is not listed; the registers that only the other has are.
 */
function byteDifferences(
  a: Uint8Array,
  b: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  into: ConfigDifference[],
): void {
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const differs = (at: number): boolean => ((from[at]! ^ to[at]!) & ~(a[at]! | b[at]!)) !== 0;
  for (let at = 0; at < from.length; at++) {
    if (!differs(at)) continue;
    let end = at + 1;
    while (end < from.length && differs(end)) end++;
    into.push({
      kind: "bytes",
      offset: at,
      from: hex(from.subarray(at, end)),
      to: hex(to.subarray(at, end)),
    });
    at = end;
  }
}
