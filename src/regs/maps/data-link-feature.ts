import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Data Link Feature, PCI Express Base Specification 7.7.4. */
export const dataLinkFeatureCapability = ownMap("DLF", 12, () => ({
  ...extendedHead,
  capabilities: r32(0x04, {
    scaledFlowControl: hwinit(0),
    immediateReadiness: ro(1),
    extendedVcCount: ro(4, 2),
    l0pExitLatency: ro(7, 5),
    otherFeatures: hex(ro(22, 8)),
    exchangeEnable: hwinit(31),
  }),
  status: volatile(r32(0x08, { remoteFeatures: hex(ro(22, 0)), remoteValid: ro(31) })),
}));

export const dataLinkFeature = extendedCapability(
  extendedCapabilityId.dataLinkFeature,
  "DLF",
  dataLinkFeatureCapability,
);
