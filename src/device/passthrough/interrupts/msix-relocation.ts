// Where the guest finds MSI-X table and PBA, if not where the device has them. Pure: no system calls.
import type { Bar } from "../../pci/bars.ts";
import { mappableAreas } from "../../pci/mappable-areas.ts";
import type { MsixGeometry } from "../../pci/msix-geometry.ts";
import type { RegionShape } from "../../pci/region-shape.ts";

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
  regions: readonly RegionShape[],
  pageSize: number,
): boolean {
  const structures = [physical.table, physical.pba];
  // Without it the host keeps the table's page to itself, wherever the guest finds its table.
  if (!regions[physical.table.region]?.msixMappable) return false;
  return structures.some(({ region, offset, size }) => {
    const info = regions[region];
    // What is smaller is mapped only while the guest has nothing else in its page: no reason for a larger BAR.
    if (!info || info.size < pageSize) return false;
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
