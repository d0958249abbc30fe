import { extendedCapability, extendedHead } from "../capability.ts";
import { composed } from "../derived.ts";
import { hwinit, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Of a clock: 0 tells nothing, and the last value stands for all above 254 ns. */
const granularity = <const P extends string>(field: P, label: string) =>
  composed(
    [field],
    (value = 0): { readonly nanoseconds: number; readonly above: boolean } | undefined =>
      value === 0 ? undefined : { nanoseconds: Math.min(value, 254), above: value === 255 },
    { label, text: ({ nanoseconds, above }) => `${above ? ">" : ""}${nanoseconds}ns` },
  );

/** Precision Time Measurement, PCI Express Base Specification 7.9.15. */
export const ptmCapability = ownMap("PTM", 12, () => ({
  ...extendedHead,
  capability: r32(
    0x04,
    {
      requester: ro(0, "Requester"),
      responder: hwinit(1, "Responder"),
      root: hwinit(2, "Root"),
      enhanced: hwinit(3, "ePTM"),
      delayAdaptation: hwinit(4, "DelayAdaptation"),
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
      effectiveGranularity: rw(15, 8),
    },
    "PTMControl",
  ),
  localGranularity: granularity("capability.clockGranularity", "Clock granularity"),
  pathGranularity: granularity("control.effectiveGranularity", "Effective granularity"),
}));

export const ptm = extendedCapability(extendedCapabilityId.ptm, "PTM", ptmCapability);
