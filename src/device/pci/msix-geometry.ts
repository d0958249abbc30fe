// Where the MSI-X table and PBA lie: on the device, and where the guest is told that they lie.
// The two are separate values and never turned into each other.
import { msixCapability, msixTableEntry } from "../../regs/maps/msix.ts";
import type { RegionInfo } from "../../regs/vfio/regions.ts";
import type { Bar } from "./bars.ts";
import type { Located } from "./config-offset.ts";
import { mappableAreas } from "./mappable-areas.ts";

/** Bytes of one vector in the table (PCI Express Base Specification 7.7.2.2). */
export const entrySize: number = msixTableEntry.size;
/** Offsets are given in units of as many bytes (7.7.2.3, 7.7.2.4). */

/** A part of a BAR that belongs to MSI-X. */
export interface MsixArea {
  /** Region index, 0 to 5. */
  readonly region: number;
  /** Byte offset in the region. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

const registers = {
  table: { bir: msixCapability.field("table.bir"), offset: msixCapability.field("table.offset") },
  pba: { bir: msixCapability.field("pba.bir"), offset: msixCapability.field("pba.offset") },
} as const;

/** Where a device has its MSI-X table and its pending bits. */
export interface MsixGeometry {
  /** 1 to 2048. */
  readonly vectors: number;
  readonly table: MsixArea;
  readonly pba: MsixArea;
}

/** Reads the geometry from the device's MSI-X capability. */
export function physicalGeometry(config: Uint8Array, capability: Located): MsixGeometry {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const view = msixCapability.view(memory, capability.offset);
  const vectors = view.controlTableSize + 1;
  const area = (region: number, offset: number, size: number): MsixArea => ({ region, offset, size });
  return {
    vectors,
    table: area(view.tableBir, view.tableOffset, vectors * entrySize),
    pba: area(view.pbaBir, view.pbaOffset, pendingSize(vectors)),
  };
}

/** The same places with fewer vectors, where the host does not give all. */
export function withVectors(geometry: MsixGeometry, most: number): MsixGeometry {
  const vectors = Math.min(geometry.vectors, most);
  const { table, pba } = geometry;
  return {
    vectors,
    table: { ...table, size: vectors * entrySize },
    pba: { ...pba, size: pendingSize(vectors) },
  };
}

/** Bytes of the pending bits (7.7.2.6): whole QWORDs. */
const pendingSize = (vectors: number): number => Math.ceil(vectors / 64) * 8;

/** Writes table size, and where table and PBA are, into a capability: off, and unmasked. */
export function showGeometry(
  { vectors, table, pba }: MsixGeometry,
  config: DataView,
  capability: Located,
): void {
  const view = msixCapability.view(config, capability.offset);
  view.control = vectors - 1;
  for (const [place, { region, offset }] of [
    [registers.table, table],
    [registers.pba, pba],
  ] as const) {
    place.bir.write(config, region, capability.offset);
    place.offset.write(config, offset, capability.offset);
  }
}

/** Why the geometry cannot be used with these regions; undefined if it can. */
export function geometryProblem(geometry: MsixGeometry, regions: readonly RegionInfo[]): string | undefined {
  const { table, pba } = geometry;
  for (const [name, area] of Object.entries({ table, pba })) {
    const region = area.region <= 5 ? regions[area.region] : undefined;
    if (!region || region.size === 0)
      return `the MSI-X ${name} is in BAR${area.region}, which the device does not have`;
    if (area.offset + area.size > region.size)
      return `the MSI-X ${name} at 0x${area.offset.toString(16)} ends past BAR${area.region}`;
  }
  if (
    table.region === pba.region &&
    table.offset < pba.offset + pba.size &&
    pba.offset < table.offset + table.size
  )
    return "the MSI-X table and PBA overlap";
  return undefined;
}

/** The geometry as the guest sees it, and the size of the BAR that grew for it. */
export interface Relocation {
  readonly guest: MsixGeometry;
  readonly region: number;
  readonly size: number;
}

/**
 * No other register may share an aligned range of so many bytes with table or PBA (PCI Express Base Specification 7.7.2). A
 * device that starts one inside of such a range seems not to know that: what is before it there may be a register.
 */
const isolation = 4096;
const up = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

/**
 * Whether moving table and PBA away lets the host map a page that it could not map otherwise, and in which other registers
 * may be: trapping that page would slow those down.
 * @param regions as they may be mapped
 * @param pageSize of the host, in bytes
 */
export function freesPages(
  physical: MsixGeometry,
  regions: readonly RegionInfo[],
  pageSize: number,
): boolean {
  const structures = [physical.table, physical.pba];
  // Without it the host keeps the table's page to itself, wherever the guest finds its table.
  if (!regions[physical.table.region]?.msixMappable) return false;
  return structures.some(({ region, offset, size }) => {
    const info = regions[region];
    if (!info) return false;
    const start = Math.floor(offset / pageSize) * pageSize;
    const end = up(offset + size, pageSize);
    const pages = mappableAreas(info, [], pageSize).map((area) => {
      const from = Math.max(start, area.offset);
      return { offset: from, size: Math.min(end, area.offset + area.size) - from };
    });
    const own = structures
      .filter((structure) => structure.region === region)
      .map((structure) => ({
        offset: structure.offset,
        size: up(structure.offset + structure.size, isolation) - structure.offset,
      }));
    return mappableAreas({ ...info, sparse: pages }, own, 1).length > 0;
  });
}

/**
 * Moves table and PBA into an upper half added to the table's BAR. The same on every host, so that a guest finds the same
 * after a restore on another one. Undefined where the BAR cannot grow.
 */
export function relocate(physical: MsixGeometry, bars: readonly Bar[]): Relocation | undefined {
  const { table, pba, vectors } = physical;
  const bar = bars.find(({ region }) => region === table.region);
  if (!bar || (bar.kind !== "memory32" && bar.kind !== "memory64")) return undefined;
  const tableRoom = up(table.size, isolation);
  const needed = tableRoom + up(pba.size, isolation);
  const size = 2 * Math.max(bar.size, 2 ** Math.ceil(Math.log2(needed)));
  const half = size / 2;
  // Table and PBA offsets are 32-bit registers, and so is the size of a 32-bit BAR.
  if (half + needed > 2 ** 32 || (bar.kind === "memory32" && size > 2 ** 31)) return undefined;
  return {
    region: table.region,
    size,
    guest: {
      vectors,
      table: { region: table.region, offset: half, size: table.size },
      pba: { region: table.region, offset: half + tableRoom, size: pba.size },
    },
  };
}
