import { extendedCapability, extendedHead } from "../capability.ts";
import { hwinit, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Precision Time Measurement, PCI Express Base Specification 7.9.15. */
export const ptmCapability = ownMap("PTM", 12, {
  ...extendedHead,
  capability: r32(
    0x04,
    {
      requester: ro(0, "Requester"),
      responder: hwinit(1, "Responder"),
      root: hwinit(2, "Root"),
      enhanced: hwinit(3, "ePTM"),
      delayAdaptation: hwinit(4, "DelayAdaptation"),
      /** In ns; 0 is unknown, 255 is 255 or more. */
      clockGranularity: hwinit(15, 8),
    },
    "PTMCap",
  ),
  control: r32(
    0x08,
    {
      enable: rw(0, "Enabled"),
      rootSelect: rw(1, "RootSelected"),
      delayInterpretationB: rw(2, "DelayInterpretationB"),
      /** In ns; 0 is unknown, 255 is 255 or more. */
      effectiveGranularity: rw(15, 8),
    },
    "PTMControl",
  ),
});

export const ptm = extendedCapability(extendedCapabilityId.ptm, "PTM", ptmCapability);
