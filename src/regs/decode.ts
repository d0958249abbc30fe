// Config space as plain JSON data, read through the register maps alone. It is bytes in, data out:
// an image of a precious register is as safe to read as any other.
import { isReserved } from "./access.ts";
import type { DecodedCapability, DecodedRegister, DecodedRegisters, DecodedValue } from "./decoded.ts";
import { decodeValues, isRead, type DecodedValues } from "./derived-decode.ts";
import { capabilityInFormat1, headerInFormat1, malformationsInFormat1 } from "./format-1.ts";
import { exactValue, fieldValue } from "./field-value.ts";
import { noGaps, type Gaps } from "./gaps.ts";
import { asData } from "./hex-text.ts";
import { bodyOf, layoutOf, type ConfigLayout, type LocatedCapability } from "./layout.ts";
import { bridgeHeader, cardbusHeader, endpointHeader, unknownHeader } from "./maps/header.ts";
import type { RegisterBlock } from "./map.ts";
import { rawValue } from "./raw-value.ts";
import { hasFields, type Register } from "./register.ts";
import { markDescribed, undescribedBytes, type UndescribedBytes } from "./undescribed.ts";
import type { Malformation } from "./walk.ts";

export type { DecodedCapability, DecodedRegister, DecodedRegisters, DecodedValue } from "./decoded.ts";
export type { DecodedValues } from "./derived-decode.ts";
export type { UndescribedBytes } from "./undescribed.ts";

/** A config space as data. */
export interface DecodedConfig {
  /** Bytes 0 to 63. */
  readonly header: {
    readonly type: "endpoint" | "bridge" | "cardbus" | "unknown";
    readonly registers: DecodedRegisters;
    readonly values?: DecodedValues;
  };
  /** In list order, the standard ones first. */
  readonly capabilities: readonly DecodedCapability[];
  /** All else that is not zero: reserved bits that are set, and what lies between the capabilities. */
  readonly undescribed?: readonly UndescribedBytes[];
  /** What is wrong with its lists. */
  readonly malformations: readonly Malformation[];
}

/**
 * How values are given. 2: in the unit that they stand for, with what several fields mean together. 1: as the bits count them,
 * for readers of what was written before.
 */
export type DecodeFormat = 1 | 2;

/**
 * Decodes a config space image of at most 4096 bytes; its shape is stable, and it never throws for its content.
 * @param unknown what of it nobody read: registers there are left out. Format 1 takes it for 0.
 */
export function decodeConfig(
  config: Uint8Array,
  format: DecodeFormat = 2,
  unknown: Gaps = noGaps,
): DecodedConfig {
  const gaps = format === 1 ? noGaps : unknown;
  const layout = layoutOf(config, gaps);
  const { capabilities, malformations } = layout;
  return {
    header: decodeHeader(layout, config, format, gaps),
    capabilities: capabilities.map((capability) => decodeCapability(capability, config, format, gaps)),
    ...(format > 1 && { undescribed: undescribedOf(layout, config, gaps) }),
    malformations: format === 1 ? malformationsInFormat1(malformations, config) : malformations,
  };
}

/** Decodes the header of a config space of which `layout` was found. */
export function decodeHeader(
  layout: ConfigLayout,
  config: Uint8Array,
  format: DecodeFormat = 2,
  gaps: Gaps = noGaps,
): DecodedConfig["header"] {
  const map = headerMapOf(layout);
  const registers = decodeRegisters(map, config, 0, format, gaps);
  return {
    type: headerTypes[layout.header?.name ?? ""] ?? "unknown",
    registers: format === 1 ? headerInFormat1(map, registers) : registers,
    ...(format > 1 && valuesOf(map, config, 0, gaps)),
  };
}

/** Decodes one capability that `layoutOf` found in `config`. */
export function decodeCapability(
  capability: LocatedCapability,
  config: Uint8Array,
  format: DecodeFormat = 2,
  gaps: Gaps = noGaps,
): DecodedCapability {
  const { id, name, offset, extended, version, map } = capability;
  const [from, to] = bodyOf(capability);
  const bytes = knownBytes(config, from, to, gaps).toHex();
  const decoded = {
    id,
    name,
    offset,
    extended,
    ...(extended && { version }),
    registers: decodeRegisters(map, config, offset, format, gaps),
    ...(format > 1 && valuesOf(map, config, offset, gaps)),
    ...(bytes !== "" && { bytes }),
  };
  return format === 1 ? capabilityInFormat1(capability, config, decoded) : decoded;
}

/** Bytes of a config space; those that nobody read are 0. */
function knownBytes(config: Uint8Array, from: number, to: number, gaps: Gaps): Uint8Array {
  const bytes = config.slice(from, to);
  for (const { offset, size } of gaps)
    if (offset < to && offset + size > from) bytes.fill(0, Math.max(0, offset - from), offset + size - from);
  return bytes;
}

function valuesOf(
  map: RegisterBlock,
  config: Uint8Array,
  base: number,
  gaps: Gaps,
): { readonly values?: DecodedValues } {
  const values = decodeValues(map, config, base, gaps);
  for (const _ in values) return { values };
  return {};
}

/** What neither a field nor the bytes of a capability tell of. */
export function undescribedOf(
  layout: ConfigLayout,
  config: Uint8Array,
  gaps: Gaps = noGaps,
): UndescribedBytes[] {
  const described = new Uint8Array(config.length);
  for (const { offset, size } of gaps) described.fill(0xff, offset, offset + size);
  markDescribed(described, headerMapOf(layout), 0);
  for (const capability of layout.capabilities) {
    markDescribed(described, capability.map, capability.offset);
    described.fill(0xff, ...bodyOf(capability));
  }
  return undescribedBytes(config, described);
}

/**
 * Decodes every register of a map whose first byte lies at `base`; one past the end of the image, or in one of `gaps`, is left
 * out. `exact` tells values of one name apart, where a specification gives it to several.
 */
export function decodeRegisters(
  map: RegisterBlock,
  config: Uint8Array,
  base = 0,
  format: DecodeFormat | "exact" = 2,
  gaps: Gaps = noGaps,
): DecodedRegisters {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const decoded: Record<string, DecodedRegister> = {};
  for (const [name, register] of Object.entries(map.registers)) {
    if (!isRead(register, config, base, gaps) || isAllReserved(register)) continue;
    decoded[name] = decodeRegister(register, rawValue(register, memory, base), format);
  }
  return decoded;
}

/** A register that is all reserved holds its place in the map, and says nothing. */
const isAllReserved = (register: Register): boolean => !hasFields(register) && isReserved(register.access);

function decodeRegister(
  register: Register,
  raw: number | bigint,
  format: DecodeFormat | "exact",
): DecodedRegister {
  if (!hasFields(register)) return asData(raw);
  const fields: Record<string, DecodedValue> = {};
  for (const name in register.fields) {
    const field = register.fields[name]!;
    if (format === 1 && field.scale) fields[name] = asData(fieldValue({ ...field, scale: undefined }, raw));
    else if (format === "exact") fields[name] = asData(exactValue(field, raw));
    else fields[name] = asData(fieldValue(field, raw));
  }
  return fields;
}

/** The header's map as far as it is known: of an unknown layout the 16 bytes that all of them share. */
export const headerMapOf = ({ header }: ConfigLayout): RegisterBlock => header ?? unknownHeader;

const headerTypes: Readonly<Record<string, DecodedConfig["header"]["type"]>> = {
  [endpointHeader.name]: "endpoint",
  [bridgeHeader.name]: "bridge",
  [cardbusHeader.name]: "cardbus",
};
