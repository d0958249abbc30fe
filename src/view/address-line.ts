// Where BARs lie in guest addresses, and what is in each: parts for a picture whose widths grow with the logarithm of sizes.
import type { MsixGeometry } from "../device/pci/msix-geometry.ts";
import type { RegionArea } from "../regs/vfio/regions.ts";

/** What accesses to a part of a BAR meet. */
export type AreaKind = "mapped" | "trapped" | "table" | "pba" | "hole" | "mirror" | "beyond";

export const areaWords: Readonly<Record<AreaKind, string>> = {
  mapped: "mapped: the guest reaches it without the VMM",
  trapped: "trapped: each access goes through the VMM",
  table: "MSI-X table, which the model answers for",
  pba: "MSI-X pending bits, which the model answers for",
  hole: "the device's own MSI-X table: hidden, the guest has another",
  mirror: "config space in a BAR, where the model answers",
  beyond: "more than the device has",
};

/** A part of a BAR, in bytes from its start. */
export interface BarArea extends RegionArea {
  readonly kind: AreaKind;
}

/** A part of some region. */
export interface RegionPart extends RegionArea {
  readonly region: number;
}

/** What a BAR is cut into. */
export interface BarShape {
  readonly region: number;
  /** Bytes that the guest sees, and bytes on the device. */
  readonly size: number;
  readonly physicalSize: number;
  /** Parts that the guest reaches without the VMM. */
  readonly mapped: readonly RegionArea[];
}

/** Where the guest finds MSI-X, and where the device has it. */
export interface MsixPlaces {
  readonly guest: MsixGeometry;
  readonly physical: MsixGeometry;
  readonly relocated: boolean;
}

/** The parts of a BAR, from its start to its end. */
export function areasOf(
  bar: BarShape,
  msix: MsixPlaces | undefined,
  mirrors: readonly RegionPart[] = [],
): BarArea[] {
  const marks: BarArea[] = [];
  const mark = (kind: AreaKind, area: RegionPart): void => {
    if (area.region === bar.region) marks.push({ kind, offset: area.offset, size: area.size });
  };
  if (msix) {
    mark("table", msix.guest.table);
    mark("pba", msix.guest.pba);
    if (msix.relocated) mark("hole", msix.physical.table);
  }
  for (const area of mirrors) mark("mirror", area);
  for (const { offset, size } of bar.mapped) marks.push({ kind: "mapped", offset, size });
  if (bar.size > bar.physicalSize)
    marks.push({ kind: "beyond", offset: bar.physicalSize, size: bar.size - bar.physicalSize });
  const edges = new Set([0, bar.size]);
  for (const { offset, size } of marks) {
    edges.add(Math.min(bar.size, offset));
    edges.add(Math.min(bar.size, offset + size));
  }
  const order = [...edges].sort((a, b) => a - b);
  const areas: BarArea[] = [];
  for (const [index, from] of order.slice(0, -1).entries()) {
    const to = order[index + 1]!;
    const kind = marks.find(({ offset, size }) => offset <= from && to <= offset + size)?.kind ?? "trapped";
    const last = areas.at(-1);
    if (last?.kind === kind) areas[areas.length - 1] = { ...last, size: last.size + to - from };
    else areas.push({ kind, offset: from, size: to - from });
  }
  return areas;
}

/** Something at an address. */
export interface Placed {
  readonly base: number;
  readonly size: number;
}

/** What lies on an address line, and the free bytes between two of them. */
export type LinePart<Item> = { readonly item: Item } | { readonly free: number };

/** In the order of addresses. */
export function addressLine<Item extends Placed>(items: readonly Item[]): LinePart<Item>[] {
  const sorted = [...items].sort((a, b) => a.base - b.base);
  const parts: LinePart<Item>[] = [];
  let end: number | undefined;
  for (const item of sorted) {
    if (end !== undefined && item.base > end) parts.push({ free: item.base - end });
    parts.push({ item });
    end = Math.max(end ?? 0, item.base + item.size);
  }
  return parts;
}

/** How wide something is beside others. */
export const widthOf = (size: number): number => Math.max(1, Math.log2(Math.max(2, size)) - 6);
