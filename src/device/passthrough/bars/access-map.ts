// Which part of a BAR an access meets: the device's own, or what the model answers for.
import { RegionIndex } from "../../../regs/vfio/regions.ts";
import type { Bar } from "../../pci/bars.ts";
import type { RegionShape } from "../../pci/region-shape.ts";
import type { MsixArea, MsixGeometry } from "../../pci/msix-geometry.ts";
import type { MirroredArea } from "../config/config-mirrors.ts";

/** Where in a BAR an access needs no look at what lies there, which most do not. Byte offsets in its region. */
export interface PlainAreas {
  /** All is the device's below it, and from `from` up to `size`. */
  readonly below: number;
  readonly from: number;
  readonly size: number;
  /** Whether the host lets the region be read and written. */
  readonly readable: boolean;
  readonly writable: boolean;
  /** Where the MSI-X table is; the two are equal where it is not in this BAR. */
  readonly tableFrom: number;
  readonly tableEnd: number;
}

/** What of the BARs is the model's. */
export interface AccessMap {
  readonly table: MsixArea | undefined;
  readonly pba: MsixArea | undefined;
  readonly mirrors: readonly MirroredArea[];
  /** By region; undefined for one that is no BAR. */
  readonly plain: readonly (PlainAreas | undefined)[];
}

/** @param msix as the guest finds it */
export function accessMap(
  bars: readonly Bar[],
  regions: readonly RegionShape[],
  msix: MsixGeometry | undefined,
  mirrors: readonly MirroredArea[],
): AccessMap {
  const table = msix?.table;
  // A PBA that the capability puts where no memory is costs the PBA, not what is there.
  const isMemory = bars.some(({ region, kind }) => region === msix?.pba.region && kind.startsWith("memory"));
  const pba = isMemory ? msix?.pba : undefined;
  const plain = Array.from({ length: RegionIndex.rom + 1 }, (_, region): PlainAreas | undefined => {
    const bar = bars.find((one) => one.region === region);
    const isHere = (area: MsixArea | undefined): area is MsixArea => area?.region === region;
    return (
      bar &&
      plainAreas(regions[region]!, [table, pba, ...mirrors].filter(isHere), isHere(table) ? table : undefined)
    );
  });
  return { table, pba, mirrors, plain };
}

function plainAreas(
  { size, readable, writable }: RegionShape,
  areas: readonly MsixArea[],
  table: MsixArea | undefined,
): PlainAreas {
  return {
    below: Math.min(size, ...areas.map(({ offset }) => offset)),
    from: Math.max(0, ...areas.map((area) => area.offset + area.size)),
    ...{ size, readable, writable },
    tableFrom: table?.offset ?? 0,
    tableEnd: table ? table.offset + table.size : 0,
  };
}
