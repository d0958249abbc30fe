// Which pages of a BAR the guest may touch without leaving to the VMM. Pure: no system calls.
import type { RegionArea } from "../../regs/vfio/regions.ts";
import type { RegionShape } from "./region-shape.ts";

const up = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
const down = (value: number, unit: number): number => Math.floor(value / unit) * unit;

/**
 * The areas to map: what the host lets be mapped, on whole host pages inside of the region, without the pages
 * that any of `holes` touches. Each hole is widened to pages as one range: rounding start and length apart
 * would leave the page that holds its end mapped. Of a region smaller than a page it is the page: the host lets that be
 * mapped only where nothing else is in it.
 * @param pageSize of the host, in bytes
 * @returns sorted, disjoint, page-aligned
 */
export function mappableAreas(
  region: RegionShape,
  holes: readonly RegionArea[],
  pageSize: number,
): RegionArea[] {
  if (!region.mappable) return [];
  if (region.size === 0) return [];
  const size = region.sparse ? region.size : Math.max(region.size, pageSize);
  const allowed = region.sparse ?? [{ offset: 0, size }];
  const spans = allowed
    .map(({ offset, size: length }) => ({
      start: up(Math.max(0, offset), pageSize),
      end: down(Math.min(size, offset + length), pageSize),
    }))
    .filter(({ start, end }) => start < end)
    .sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else merged.push({ ...span });
  }
  const closed = holes
    .map(({ offset, size }) => ({ start: down(offset, pageSize), end: up(offset + size, pageSize) }))
    .sort((a, b) => a.start - b.start);
  const areas: RegionArea[] = [];
  for (const { start, end } of merged) {
    // Never moves back: holes may overlap.
    let cursor = start;
    for (const hole of closed) {
      if (hole.end <= cursor || hole.start >= end) continue;
      if (hole.start > cursor) areas.push({ offset: cursor, size: hole.start - cursor });
      cursor = hole.end;
    }
    if (cursor < end) areas.push({ offset: cursor, size: end - cursor });
  }
  return areas;
}
