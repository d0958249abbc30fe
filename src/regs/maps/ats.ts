import { extendedCapability, extendedHead } from "../capability.ts";
import { composed } from "../derived.ts";
import { hex, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import { sizeText } from "../size-text.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Address Translation Services, PCI Express Base Specification 10.5.1. */
export const atsCapability = ownMap("ATS", 8, () => ({
  ...extendedHead,
  capability: r16(
    0x04,
    {
      invalidateQueueDepth: hex(ro(4, 0, "Invalidate Queue Depth")),
      pageAlignedRequest: ro(5),
      globalInvalidate: ro(6),
      relaxedOrdering: ro(7),
      memoryAttributes: ro(8),
    },
    "ATSCap",
  ),
  control: r16(
    0x06,
    {
      smallestTranslationUnit: hex(rw(4, 0, "Smallest Translation Unit")),
      memoryAttributesDefault: rw(13, 11),
      memoryAttributesEnable: rw(14),
      enable: rw(15, "Enable"),
    },
    "ATSCtl",
  ),
  /** Requests that the function takes before it holds up others; a virtual function shares its physical function's queue. */
  invalidateQueue: composed(["capability.invalidateQueueDepth"], (depth) => depth || 32, {
    label: "Invalidate Queue",
  }),
  /** In bytes. */
  translationUnit: composed(["control.smallestTranslationUnit"], (unit) => 4096 * 2 ** unit!, {
    label: "Translation Unit",
    text: (bytes) => sizeText(bytes),
  }),
}));

export const ats = extendedCapability(extendedCapabilityId.ats, "ATS", atsCapability);
