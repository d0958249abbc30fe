import { latency } from "./latency.ts";
import { composed } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

// `value` counts units of 32^scale ns.
const fields = { value: rw(9, 0), scale: rw(12, 10) } as const;

/** Latency Tolerance Reporting, PCI Express Base Specification 7.8.2. */
export const ltrCapability = ownMap("LTR", 8, () => ({
  ...extendedHead,
  maxSnoopLatency: r16(0x04, fields, "MaxSnoop"),
  maxNoSnoopLatency: r16(0x06, fields, "MaxNoSnoop"),
  maxSnoop: composed(
    ["maxSnoopLatency.value", "maxSnoopLatency.scale"],
    (value, scale) => latency(value!, scale!),
    {
      label: "Max snoop latency",
      unit: "ns",
    },
  ),
  maxNoSnoop: composed(
    ["maxNoSnoopLatency.value", "maxNoSnoopLatency.scale"],
    (value, scale) => latency(value!, scale!),
    { label: "Max no snoop latency", unit: "ns" },
  ),
}));

export const ltr = extendedCapability(extendedCapabilityId.ltr, "LTR", ltrCapability);
