// Config space as plain JSON data, read through the register maps alone. It is bytes in, data out:
// an image of a precious register is as safe to read as any other.
import { fieldValue, type AnyFieldValue } from "./field-value.ts";
import { layoutOf, type ConfigLayout, type LocatedCapability } from "./layout.ts";
import { endpointHeader, unknownHeader } from "./maps/header.ts";
import type { RegisterBlock } from "./map.ts";
import { rawValue } from "./raw-value.ts";
import { hasFields, type Register } from "./register.ts";
import type { Malformation } from "./walk.ts";

/** A flag, a number, the name of a value (or `reserved(n)`), or 64 bits as `0x` and 16 hexadecimal digits. */
export type DecodedValue = boolean | number | string;
/** A register without fields is one value; another has the value of each field by its name. */
export type DecodedRegister = DecodedValue | { readonly [field: string]: DecodedValue };
/** The registers of a map by their names. */
export type DecodedRegisters = { readonly [register: string]: DecodedRegister };

/** A capability as data. */
export interface DecodedCapability {
  readonly id: number;
  /** Short name; `unknown` for an ID without a map. */
  readonly name: string;
  /** Byte offset in config space. */
  readonly offset: number;
  readonly extended: boolean;
  /** Of an extended capability alone. */
  readonly version?: number;
  readonly registers: DecodedRegisters;
  /** What no register describes, in hexadecimal: the body of a vendor's or an unknown capability. */
  readonly bytes?: string;
}
/** A config space as data. */
export interface DecodedConfig {
  readonly header: {
    readonly type: "endpoint" | "bridge" | "cardbus" | "unknown";
    readonly registers: DecodedRegisters;
  };
  /** In list order, the standard ones first. */
  readonly capabilities: readonly DecodedCapability[];
  readonly malformations: readonly Malformation[];
}

/**
 * Decodes a config space image of 64, 256 or 4096 bytes; its shape is stable, and it never throws for its content.
 */
export function decodeConfig(config: Uint8Array): DecodedConfig {
  const layout = layoutOf(config);
  const { capabilities, malformations } = layout;
  return {
    header: { type: headerTypeOf(config, layout), registers: decodeRegisters(headerMapOf(layout), config) },
    capabilities: capabilities.map((capability) => decodeCapability(capability, config)),
    malformations,
  };
}

/** Decodes one capability that `layoutOf` found in `config`. */
export function decodeCapability(capability: LocatedCapability, config: Uint8Array): DecodedCapability {
  const { id, name, offset, extended, version, map } = capability;
  const registers = decodeRegisters(map, config, offset);
  const bytes = hexBytes(config.subarray(offset + describedBytes(map), offset + bodyEnd(capability)));
  return {
    id,
    name,
    offset,
    extended,
    ...(extended && { version }),
    registers,
    ...(bytes !== "" && { bytes }),
  };
}

/** Decodes every register of a map whose first byte lies at `base`; one past the end of the image is left out. */
export function decodeRegisters(map: RegisterBlock, config: Uint8Array, base = 0): DecodedRegisters {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const decoded: Record<string, DecodedRegister> = {};
  for (const [name, register] of Object.entries(map.registers)) {
    if (base + register.at + register.width / 8 > config.length || isReserved(register)) continue;
    decoded[name] = decodeRegister(register, rawValue(register, memory, base));
  }
  return decoded;
}

/** A register that is all reserved holds its place in the map, and says nothing. */
const isReserved = (register: Register): boolean =>
  !hasFields(register) && (register.access === "rsvdp" || register.access === "rsvdz");

function decodeRegister(register: Register, raw: number | bigint): DecodedRegister {
  if (!hasFields(register)) return plain(raw);
  return Object.fromEntries(
    Object.entries(register.fields).map(([name, field]) => [name, plain(fieldValue(field, raw))]),
  );
}

/** Numbers beyond what JSON can hold are written in hexadecimal. */
const plain = (value: AnyFieldValue): DecodedValue =>
  typeof value === "bigint" ? `0x${value.toString(16).padStart(16, "0")}` : value;

/** The header's map as far as it is known: of an unknown layout the 16 bytes that all of them share. */
export const headerMapOf = ({ header }: ConfigLayout): RegisterBlock => header ?? unknownHeader;

function headerTypeOf(config: Uint8Array, { header }: ConfigLayout): DecodedConfig["header"]["type"] {
  if (header) return header.name === endpointHeader.name ? "endpoint" : "bridge";
  return config.length >= 64 && (config[0x0e]! & 0x7f) === 2 ? "cardbus" : "unknown";
}

/** Bytes up to the end of the last register. */
const describedBytes = (map: RegisterBlock): number =>
  Math.max(0, ...Object.values(map.registers).map(({ at, width }) => at + width / 8));

/** An unknown capability states no length: its body ends at the next one at the latest. */
const bodyEnd = ({ type, map, limit }: LocatedCapability): number =>
  Math.min(limit, type && map.name !== "unknown" ? map.size : limit);

const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
