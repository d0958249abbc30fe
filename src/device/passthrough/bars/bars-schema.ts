import * as z from "zod";
import { RegionIndex } from "../../../regs/vfio/regions.ts";

/** State of the BARs beside their registers. */
export const barsSchema = () =>
  z.strictObject({
    /** BARs, by region index, that have the guest addresses in their registers: of two that want the same, one has it. */
    held: z.array(z.int().min(0).max(RegionIndex.rom)).max(RegionIndex.rom + 1),
  });
export type BarsState = z.infer<ReturnType<typeof barsSchema>>;
