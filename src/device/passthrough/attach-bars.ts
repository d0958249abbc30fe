// Prepares a device's BARs for the guest's address space. Nothing is mapped before the guest turns decoding on.
import type { AttachContext } from "./attach-context.ts";
import type { AttachPlan } from "./attach-plan.ts";
import { BarMapping } from "./bars/bar-mapping.ts";
import { BarPlacement } from "./bars/bar-placement.ts";

export function attachBars(
  { backend, platform, options, report }: AttachContext,
  { bars, mappable }: AttachPlan,
): BarPlacement {
  const { peerToPeer: peers = true } = options;
  const parts = bars.map((bar, i) => {
    const info = backend.regions[bar.region]!;
    const parts = { backend, platform, info, areas: mappable[i]!, size: bar.size, peers, report };
    return { bar, mapping: new BarMapping(parts) };
  });
  return new BarPlacement(platform, parts, report);
}
