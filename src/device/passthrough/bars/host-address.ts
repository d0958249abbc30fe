import { contains } from "../../address/range.ts";
import type { BarPlacement } from "./bar-placement.ts";

/** Host memory behind a guest address of a BAR, and whether it may be written; see `VfioPciDevice.hostAddress`. */
export function hostAddressOf(
  placement: BarPlacement,
  gpa: number,
  size: number,
): { readonly hva: number; readonly writable: boolean } | undefined {
  if (!(size >= 1)) return undefined;
  for (const { mapping } of placement.bars)
    for (const area of mapping.mapped)
      if (contains({ base: area.gpa, size: area.size }, gpa, size))
        return { hva: area.hva + (gpa - area.gpa), writable: mapping.isWritable };
  return undefined;
}
