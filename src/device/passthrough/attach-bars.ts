// Prepares a device's BARs for the guest's address space. Nothing is mapped before the guest turns decoding on.
import { RegionIndex, type RegionArea, type RegionInfo } from "../../regs/vfio/regions.ts";
import { mappableAreas } from "../pci/mappable-areas.ts";
import type { AttachContext } from "./attach-context.ts";
import type { AttachPlan, MsixPlan } from "./attach-plan.ts";
import { BarMapping } from "./bars/bar-mapping.ts";
import { BarPlacement } from "./bars/bar-placement.ts";

export function attachBars(
  { backend, platform, options, report }: AttachContext,
  { bars, msix }: AttachPlan,
): BarPlacement {
  const { excludeFromMapping = [], peerToPeer = true } = options;
  const parts = bars.map((bar) => {
    const info = backend.regions[bar.region]!;
    const isMemory = bar.kind !== "io" && bar.region !== RegionIndex.rom;
    const isTrapped = !isMemory || excludeFromMapping.includes(bar.region);
    const areas = isTrapped ? [] : mappableAreas(info, holesOf(info, msix), platform.pageSize);
    const parts = { backend, platform, info, areas, size: bar.size, peers: peerToPeer, report };
    return { bar, mapping: new BarMapping(parts) };
  });
  return new BarPlacement(platform, parts, report);
}

/** The guest's table and PBA are the model's: where they lie over the device's own registers, those are not mapped. */
function holesOf(
  { index: region, msixMappable: tableIsMappable }: RegionInfo,
  msix: MsixPlan | undefined,
): RegionArea[] {
  if (!msix) return [];
  const { table, pba } = msix.physical;
  const own = msix.hasPending ? [table, pba] : [table];
  // Moved away, they may be mapped; but some hosts keep the device's table to themselves.
  const trapped = !msix.relocated ? own : tableIsMappable ? [] : [table];
  return trapped.filter((area) => area.region === region);
}
