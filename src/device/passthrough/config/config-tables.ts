// The byte tables that a guest's config accesses run on, built once at attach from the register maps.
// Everything that hides, patches or emulates is rows in these tables, so that reads and writes agree.
import {
  extendedStart,
  standardEnd,
  unknownExtended,
  isHeadOnly,
  type ConfigLayout,
  type Field,
  type FieldReference,
  type FieldValue,
  type LocatedCapability,
  type Register,
  type RegisterBlock,
  type RegisterReference,
} from "../../../regs/index.ts";
import type { ConfigImage } from "../../pci/config-image.ts";
import { allOnes } from "../../seam/guest-answers.ts";
import { headerStart, offsetOf, type ConfigOffset, type Located } from "../../pci/config-offset.ts";

/** How a byte is read. */
export const Source = {
  /** From the shadow: emulated, or known and not changed since. */
  shadow: 0,
  /** From the device once, then from the shadow: a write may have changed it. */
  stale: 1,
  /** From the device each time. */
  device: 2,
  /** Worked out by the model at each read. */
  computed: 3,
} as const;

export interface ConfigTables {
  /** Bytes of config space: 256 or 4096. */
  readonly size: number;
  /**
   * Bytes that the tables have, a multiple of 4: as far as anything is described. What lies behind is the device's own, read and
   * written through.
   */
  readonly limit: number;
  /** What the guest reads where `source` says so. */
  readonly shadow: Uint8Array;
  /** The shadow, for register maps. */
  readonly view: DataView;
  /** Bits that the model owns: the device's are never shown, and never written by the guest. */
  readonly emulated: Uint8Array;
  /** Bits that a guest write stores: in the shadow if emulated, else on the device. */
  readonly write: Uint8Array;
  /** Bits that a guest write of 1 clears, likewise. */
  readonly clear: Uint8Array;
  /** One of `Source` a byte. */
  readonly source: Uint8Array;
  /** 1 where neither a map nor a capability says what the byte is. */
  readonly undescribed: Uint8Array;
}

const wholeByte = 0xff;

/** Fills the tables from the layout of a config space as it was read at attach. */
export function configTables(config: Uint8Array, layout: ConfigLayout): ConfigTables {
  const limit = limitOf(config, layout);
  const table = (): Uint8Array => new Uint8Array(limit);
  const shadow = config.slice(0, limit);
  const tables: ConfigTables = {
    size: config.length,
    limit,
    shadow,
    view: new DataView(shadow.buffer),
    emulated: table(),
    write: table(),
    clear: table(),
    source: table(),
    undescribed: table(),
  };
  const covered = table();
  if (layout.header) place(tables, covered, layout.header, 0);
  for (const capability of layout.capabilities) {
    place(tables, covered, capability.map, capability.offset);
    if (isHeadOnly(capability)) coverUnknown(tables, covered, capability);
  }
  if (hasEmptyList(config)) place(tables, covered, unknownExtended, extendedStart);
  ownUndescribed(tables, covered);
  for (let at = 0; at < limit; at += 4)
    if (tables.view.getUint32(at, true) === allOnes(4)) unsettle(tables, at);
  return tables;
}

/** What an empty list of extended capabilities begins with (PCI Express Base Specification 7.6.2). */
function hasEmptyList(config: Uint8Array): boolean {
  if (config.length <= extendedStart) return false;
  for (let at = extendedStart; at < extendedStart + unknownExtended.size; at++)
    if (config[at] !== 0) return false;
  return true;
}

/** Where the last byte ends that a capability takes, or one that nobody knows may take: such a one can be hidden whole. */
function limitOf(config: Uint8Array, { capabilities }: ConfigLayout): number {
  let limit = Math.min(config.length, standardEnd);
  if (hasEmptyList(config)) limit += unknownExtended.size;
  for (const { offset, type, map, limit: room } of capabilities)
    limit = Math.max(limit, offset + (type ? map.size : room));
  return Math.min(config.length, Math.ceil(limit / 4) * 4);
}

/** Tables of a device of the same kind: what reads and writes change of them is its own. */
export function copyTables(tables: ConfigTables, { bytes, kind }: ConfigImage): ConfigTables {
  const shadow = tables.shadow.slice();
  for (const { start, end } of kind.own)
    for (let at = start; at < end; at++) if (tables.emulated[at] !== wholeByte) shadow[at] = bytes[at]!;
  for (let at = kind.end; at < shadow.length; at++) shadow[at] = bytes[at]!;
  return { ...tables, shadow, view: new DataView(shadow.buffer), source: tables.source.slice() };
}

function place(tables: ConfigTables, covered: Uint8Array, map: RegisterBlock, base: number): void {
  const { masks } = map;
  for (let i = 0; i < map.size; i++) {
    const at = base + i;
    // The first capability to describe a byte keeps it: overlapping ones are malformed and must not fight.
    // Bytes that the map does not describe, as a vendor's body or what is reserved, are the device's own.
    if (covered[at] || (masks.defined[i]! & ~masks.reserved[i]!) === 0) continue;
    covered[at] = 1;
    tables.emulated[at] = masks.emulated[i]!;
    tables.clear[at] = masks.w1c[i]!;
    tables.write[at] = masks.write[i]!;
    if ((masks.volatile[i]! | masks.precious[i]!) & ~masks.emulated[i]!) tables.source[at] = Source.device;
  }
}

/** The body of a capability whose head alone a map describes belongs to the device: read and written through. */
function coverUnknown(tables: ConfigTables, covered: Uint8Array, capability: LocatedCapability): void {
  const end = Math.min(tables.limit, capability.offset + capability.limit);
  for (let at = capability.offset + capability.map.size; at < end; at++) {
    if (covered[at]) continue;
    covered[at] = 1;
    tables.write[at] = 0xff;
    tables.source[at] = Source.device;
  }
}

/**
 * Bytes that no map describes are the device's, whatever they hold: index and data pairs, gateways of a vendor and registers of
 * chipsets live there. They are read and written through.
 */
function ownUndescribed(tables: ConfigTables, covered: Uint8Array): void {
  for (let at = 0; at < tables.limit; at++) {
    if (covered[at]) continue;
    tables.undescribed[at] = 1;
    tables.write[at] = 0xff;
    tables.source[at] = Source.device;
  }
}

/** All ones settles nothing: the device may be asleep, resetting or gone. It is asked again. */
function unsettle({ source, emulated }: ConfigTables, dword: number): void {
  for (let at = dword; at < dword + 4; at++)
    if (source[at] === Source.shadow && emulated[at] !== wholeByte) source[at] = Source.stale;
}

/** Makes the model own bytes: what the guest reads is `bytes`, what it can write is `writable`. */
export function emulate(
  tables: ConfigTables,
  offset: ConfigOffset,
  bytes: Uint8Array,
  writable?: Uint8Array,
): void {
  const size = bytes.length;
  tables.shadow.set(bytes, offset);
  tables.emulated.fill(0xff, offset, offset + size);
  tables.clear.fill(0, offset, offset + size);
  tables.undescribed.fill(0, offset, offset + size);
  tables.source.fill(Source.shadow, offset, offset + size);
  if (writable) tables.write.set(writable, offset);
  else tables.write.fill(0, offset, offset + size);
}

/** A register of up to 32 bits, as the tables take it. */
export type NumberRegister = RegisterReference<Register<8 | 16 | 32>>;

/** Makes the model own a register: the guest reads `value`, and can write the bits of `writable`. */
export function emulateRegister(
  tables: ConfigTables,
  register: NumberRegister,
  { value, writable = 0 }: { readonly value: number; readonly writable?: number | undefined },
  capability: Located = headerStart,
): void {
  const offset = offsetOf(register, capability);
  emulate(tables, offset, new Uint8Array(register.size));
  register.write(tables.view, value, capability.offset);
  for (let i = 0; i < register.size; i++) tables.write[offset + i] = writable >>> (8 * i);
}

/** Makes the model own a field, which the guest cannot write; the other bits of its register stay as they are. */
export function emulateField<F extends Field, R extends Register<8 | 16 | 32>>(
  tables: ConfigTables,
  field: FieldReference<F, R>,
  value: FieldValue<F>,
  capability: Located = headerStart,
): void {
  const offset = offsetOf(field.register, capability);
  for (let i = 0; i < field.register.size; i++) {
    const bits = (field.mask >>> (8 * i)) & 0xff;
    tables.emulated[offset + i]! |= bits;
    tables.write[offset + i]! &= ~bits;
    tables.clear[offset + i]! &= ~bits;
    if (tables.emulated[offset + i] === wholeByte) tables.source[offset + i] = Source.shadow;
  }
  field.write(tables.view, value, capability.offset);
}
