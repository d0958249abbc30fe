// Prepares a device's BARs for the guest's address space. Nothing is mapped before the guest turns decoding on.
import { RegionIndex, type RegionArea, type RegionInfo } from "../../regs/vfio/regions.ts";
import { mappableAreas } from "../pci/mappable-areas.ts";
import type { AttachContext } from "./attach-context.ts";
import type { AttachPlan, MsixPlan } from "./attach-plan.ts";
import type { MirroredArea } from "./config/config-mirrors.ts";
import { BarMapping } from "./bars/bar-mapping.ts";
import { BarPlacement } from "./bars/bar-placement.ts";

export function attachBars(
  { backend, platform, options, report }: AttachContext,
  { bars, msix, mirrors }: AttachPlan,
): BarPlacement {
  const { excludeFromMapping = [], peerToPeer = true } = options;
  const parts = bars.map((bar) => {
    const info = backend.regions[bar.region]!;
    const isMemory = bar.kind !== "io" && bar.region !== RegionIndex.rom;
    const isTrapped = !isMemory || excludeFromMapping.includes(bar.region);
    const areas = isTrapped ? [] : mappableAreas(info, holesOf(info, msix, mirrors), platform.pageSize);
    const parts = { backend, platform, info, areas, size: bar.size, peers: peerToPeer, report };
    return { bar, mapping: new BarMapping(parts) };
  });
  return new BarPlacement(platform, parts, report);
}

/** What of a BAR is the model's: there the device's own registers are not mapped. */
const holesOf = (
  info: RegionInfo,
  msix: MsixPlan | undefined,
  mirrors: readonly MirroredArea[],
): RegionArea[] => [...msixHoles(info, msix), ...mirrors.filter(({ region }) => region === info.index)];

/** Table and PBA, where they lie over the device's own registers. */
function msixHoles(
  { index: region, msixMappable: tableIsMappable }: RegionInfo,
  msix: MsixPlan | undefined,
): RegionArea[] {
  if (!msix) return [];
  const { table, pba } = msix.physical;
  // Moved away, they may be mapped; but some hosts keep the device's table to themselves. Where they stay the guest looks for the
  // model's pending bits there, whether the device has any or not.
  const trapped = !msix.relocated ? [table, pba] : tableIsMappable ? [] : [table];
  return trapped.filter((area) => area.region === region);
}
