// Where the MSI-X table and PBA lie: on the device, and where the guest is told that they lie.
// The two are separate values and never turned into each other.
import { msixCapability, msixTableEntry } from "../../regs/maps/msix.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { hex } from "../address/range.ts";
import type { Located } from "./config-offset.ts";
import type { RegionShape } from "./region-shape.ts";

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
  /** Where the vectors are. */
  readonly table: MsixArea;
  /** Where their pending bits are. */
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
export function withVectors(geometry: MsixGeometry, max: number): MsixGeometry {
  const vectors = Math.min(geometry.vectors, max);
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

/** What of a structure does not lie in the memory of a BAR; undefined if all does. */
function placeProblem(name: string, area: MsixArea, regions: readonly RegionShape[]): string | undefined {
  if (area.region > RegionIndex.bar5)
    return `the MSI-X ${name} register holds ${hex(area.offset + area.region)}, whose BIR ${area.region} is reserved`;
  const region = regions[area.region];
  if (!region || region.size === 0)
    return `the MSI-X ${name} is in BAR${area.region}, which the device does not have`;
  if (area.offset + area.size > region.size)
    return `the MSI-X ${name} at ${hex(area.offset)} ends past BAR${area.region}`;
  return undefined;
}

/** Why the table cannot be used with these regions, and so the capability; undefined if it can. */
export const tableProblem = ({ table }: MsixGeometry, regions: readonly RegionShape[]): string | undefined =>
  placeProblem("table", table, regions);

/** Why the device's own pending bits cannot be: nobody but they need that place. Undefined if they can. */
export function pendingProblem(
  { table, pba }: MsixGeometry,
  regions: readonly RegionShape[],
): string | undefined {
  const place = placeProblem("PBA", pba, regions);
  if (place !== undefined) return place;
  const overlap =
    table.region === pba.region &&
    table.offset < pba.offset + pba.size &&
    pba.offset < table.offset + table.size;
  return overlap ? "the MSI-X table and PBA overlap" : undefined;
}
