import type { RegionInfo } from "../../regs/vfio/regions.ts";

/** What of a region decides how a guest finds its BAR. */
export type RegionShape = Omit<RegionInfo, "type">;
