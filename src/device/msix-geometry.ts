// Where the MSI-X table and PBA lie: on the device, and where the guest is told that they lie.
// The two are separate values and never turned into each other.
import { msixCapability } from "../regs/maps/msix.ts";
import type { RegionInfo } from "./backend.ts";
import type { Bar } from "./bars.ts";

/** Bytes of one vector in the table (PCI Express Base Specification 7.7.2.2). */
export const entrySize = 16;

export interface MsixArea {
  /** Region index, 0 to 5. */
  readonly region: number;
  /** Byte offset in the region. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

export interface MsixGeometry {
  /** 1 to 2048. */
  readonly vectors: number;
  readonly table: MsixArea;
  readonly pba: MsixArea;
}

/** Reads the geometry from the device's capability. */
export function physicalGeometry(config: Uint8Array, offset: number): MsixGeometry {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const view = msixCapability.view(memory, offset);
  const vectors = view.controlTableSize + 1;
  // The registers count in units of 8 bytes.
  const area = (region: number, units: number, size: number): MsixArea => ({
    region,
    offset: units * 8,
    size,
  });
  return {
    vectors,
    table: area(view.tableBir, view.tableOffset, vectors * entrySize),
    pba: area(view.pbaBir, view.pbaOffset, Math.ceil(vectors / 64) * 8),
  };
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
 * Moves table and PBA into an upper half added to the table's BAR, if a page that holds one of them may hold other
 * registers too: trapping that page would slow those down. Undefined where nothing is gained or the BAR cannot grow.
 * @param pageSize of the host, in bytes
 */
export function relocate(
  physical: MsixGeometry,
  bars: readonly Bar[],
  regions: readonly RegionInfo[],
  pageSize: number,
): Relocation | undefined {
  const { table, pba, vectors } = physical;
  const unaligned = (area: MsixArea): boolean => area.offset % pageSize !== 0;
  // A PBA behind the table in the table's own last page costs no page more.
  const pbaApart =
    pba.region === table.region &&
    Math.floor(pba.offset / pageSize) !== Math.floor((table.offset + table.size - 1) / pageSize);
  const bar = bars.find(({ region }) => region === table.region);
  const info = regions[table.region];
  // Without MSIX_MAPPABLE the host refuses to map the table's page: moving the table away would gain nothing.
  if (!bar || !info?.mappable || !info.msixMappable || (bar.kind !== "memory32" && bar.kind !== "memory64"))
    return undefined;
  if (!unaligned(table) && !(pbaApart && unaligned(pba))) return undefined;
  const pages = (bytes: number): number => Math.ceil(bytes / pageSize) * pageSize;
  const needed = pages(table.size) + pages(pba.size);
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
      pba: { region: table.region, offset: half + pages(table.size), size: pba.size },
    },
  };
}
