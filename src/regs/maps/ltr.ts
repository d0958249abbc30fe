import { extendedCapability, extendedHead } from "../capability.ts";
import { rw } from "../field.ts";
import { registerMap } from "../map.ts";
import { r16 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

// `value` counts units of 32^scale ns; a scale of 6 or 7 is not permitted.
const latency = { value: rw(9, 0), scale: rw(12, 10) } as const;

/** Latency Tolerance Reporting, PCI Express Base Specification 7.8.2. */
export const ltrCapability = registerMap("LTR", 8, {
  ...extendedHead,
  maxSnoopLatency: r16(0x04, latency, "Max snoop latency"),
  maxNoSnoopLatency: r16(0x06, latency, "Max no snoop latency"),
});

export const ltr = extendedCapability(extendedCapabilityId.ltr, "LTR", ltrCapability);
