// Config space as plain JSON data, read through the register maps alone. It is bytes in, data out:
// an image of a precious register is as safe to read as any other.
import { isReserved } from "./access.ts";
import type { DecodedCapability, DecodedRegister, DecodedRegisters, DecodedValue } from "./decoded.ts";
import { decodeValues, type DecodedValues } from "./derived-decode.ts";
import { capabilityInFormat1, headerInFormat1, malformationsInFormat1 } from "./format-1.ts";
import { exactValue, fieldValue } from "./field-value.ts";
import { asData } from "./hex-text.ts";
import { isHeadOnly, layoutOf, type ConfigLayout, type LocatedCapability } from "./layout.ts";
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
  readonly header: {
    readonly type: "endpoint" | "bridge" | "cardbus" | "unknown";
    readonly registers: DecodedRegisters;
    readonly values?: DecodedValues;
  };
  /** In list order, the standard ones first. */
  readonly capabilities: readonly DecodedCapability[];
  /** All else that is not zero: reserved bits that are set, and what lies between the capabilities. */
  readonly undescribed?: readonly UndescribedBytes[];
  readonly malformations: readonly Malformation[];
}

/**
 * How values are given. 2: in the unit that they stand for, with what several fields mean together. 1: as the bits count them,
 * for readers of what was written before.
 */
export type DecodeFormat = 1 | 2;

/**
 * Decodes a config space image of 64, 256 or 4096 bytes; its shape is stable, and it never throws for its content.
 */
export function decodeConfig(config: Uint8Array, format: DecodeFormat = 2): DecodedConfig {
  const layout = layoutOf(config);
  const { capabilities, malformations } = layout;
  return {
    header: decodeHeader(layout, config, format),
    capabilities: capabilities.map((capability) => decodeCapability(capability, config, format)),
    ...(format > 1 && { undescribed: undescribedOf(layout, config) }),
    malformations: format === 1 ? malformationsInFormat1(malformations, config) : malformations,
  };
}

/** Decodes the header of a config space of which `layout` was found. */
export function decodeHeader(
  layout: ConfigLayout,
  config: Uint8Array,
  format: DecodeFormat = 2,
): DecodedConfig["header"] {
  const map = headerMapOf(layout);
  const registers = decodeRegisters(map, config, 0, format);
  return {
    type: headerTypes[layout.header?.name ?? ""] ?? "unknown",
    registers: format === 1 ? headerInFormat1(map, registers) : registers,
    ...(format > 1 && valuesOf(map, config, 0)),
  };
}

/** Decodes one capability that `layoutOf` found in `config`. */
export function decodeCapability(
  capability: LocatedCapability,
  config: Uint8Array,
  format: DecodeFormat = 2,
): DecodedCapability {
  const { id, name, offset, extended, version, map } = capability;
  const [from, to] = bodyOf(capability);
  const bytes = config.subarray(from, to).toHex();
  const decoded = {
    id,
    name,
    offset,
    extended,
    ...(extended && { version }),
    registers: decodeRegisters(map, config, offset, format),
    ...(format > 1 && valuesOf(map, config, offset)),
    ...(bytes !== "" && { bytes }),
  };
  return format === 1 ? capabilityInFormat1(capability, config, decoded) : decoded;
}

function valuesOf(map: RegisterBlock, config: Uint8Array, base: number): { readonly values?: DecodedValues } {
  const values = decodeValues(map, config, base);
  for (const _ in values) return { values };
  return {};
}

/** What neither a field nor the bytes of a capability tell of. */
export function undescribedOf(layout: ConfigLayout, config: Uint8Array): UndescribedBytes[] {
  const described = new Uint8Array(config.length);
  markDescribed(described, headerMapOf(layout), 0);
  for (const capability of layout.capabilities) {
    markDescribed(described, capability.map, capability.offset);
    described.fill(0xff, ...bodyOf(capability));
  }
  return undescribedBytes(config, described);
}

/**
 * Decodes every register of a map whose first byte lies at `base`; one past the end of the image is left out. `exact` tells
 * values of one name apart, where a specification gives it to several.
 */
export function decodeRegisters(
  map: RegisterBlock,
  config: Uint8Array,
  base = 0,
  format: DecodeFormat | "exact" = 2,
): DecodedRegisters {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const decoded: Record<string, DecodedRegister> = {};
  for (const [name, register] of Object.entries(map.registers)) {
    if (base + register.at + register.width / 8 > config.length || isAllReserved(register)) continue;
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

/** Bytes up to the end of the last register. */
const describedBytes = (map: RegisterBlock): number =>
  Math.max(0, ...Object.values(map.registers).map(({ at, width }) => at + width / 8));

/**
 * First byte and end of what lies behind the last register. A capability of which no more than the head is described states no
 * length: it ends at the next one at the latest.
 */
function bodyOf(capability: LocatedCapability): [from: number, to: number] {
  const { map, limit, offset } = capability;
  const described = describedBytes(map);
  const size = isHeadOnly(capability) ? limit : Math.min(limit, map.size);
  return [offset + described, offset + size];
}
