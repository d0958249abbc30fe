import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Address Translation Services, PCI Express Base Specification 10.5.1. */
export const atsCapability = ownMap("ATS", 8, {
  ...extendedHead,
  capability: r16(
    0x04,
    {
      /** 0 is 32. */
      invalidateQueueDepth: hex(ro(4, 0, "Invalidate Queue Depth")),
      pageAlignedRequest: ro(5),
      globalInvalidate: ro(6),
      relaxedOrdering: ro(7),
    },
    "ATSCap",
  ),
  control: r16(
    0x06,
    {
      /** The unit is 4096 * 2^n bytes. */
      smallestTranslationUnit: hex(rw(4, 0, "Smallest Translation Unit")),
      enable: rw(15, "Enable"),
    },
    "ATSCtl",
  ),
});

export const ats = extendedCapability(extendedCapabilityId.ats, "ATS", atsCapability);
