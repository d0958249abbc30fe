// What lies behind the regions of a function: the recorded bytes, or a model's registers.
import type { RegionArea } from "../../regs/vfio/regions.ts";
import type { RegionMapping } from "../seam/backend.ts";

/** Every range lies inside of its region. */
export interface RegionSpaces extends Disposable {
  /** Fills `data` from byte `offset` of a region. */
  read(region: number, offset: number, data: Uint8Array): void;
  /** Writes all of `data` at byte `offset` of a region. */
  write(region: number, offset: number, data: Uint8Array): void;
  /** Maps an area, page-aligned, of a region that can be mapped. @throws VfioError ENOMEM */
  map(region: number, area: RegionArea): RegionMapping;
  /** As after a reset of the function. */
  restart(): void;
}
