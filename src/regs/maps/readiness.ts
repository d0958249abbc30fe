import { composed } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { latency } from "./latency.ts";
import { extendedCapabilityId } from "./ids.ts";

/** FRS Queueing, PCI Express Base Specification 7.8.10: messages of functions that became ready. */
export const frsQueueingCapability = ownMap("FRSQueueing", 16, () => ({
  ...extendedHead,
  capability: r32(0x04, { maxDepth: hwinit(11, 0), interruptMessage: ro(20, 16) }),
  status: volatile(r16(0x08, { messageReceived: rw1c(0), messageOverflow: rw1c(1) })),
  control: r16(0x0a, { interruptEnable: rw(0) }),
  // A write takes the oldest message from the queue.
  messageQueue: volatile(r32(0x0c, { functionId: hex(ro(15, 0)), reason: ro(19, 16), depth: ro(31, 20) })),
}));
export const frsQueueing = extendedCapability(
  extendedCapabilityId.frsQueueing,
  "FRSQueueing",
  frsQueueingCapability,
);

const time = <const P extends string>(field: P, label: string) =>
  composed([field], (bits) => latency(bits! & 0x1ff, bits! >> 9), { label, unit: "ns" });

/** Readiness Time Reporting, PCI Express Base Specification 7.9.16. A time is 9 bits of value and 3 of scale: value * 32^scale ns. */
export const readinessTimeCapability = ownMap("RTR", 12, () => ({
  ...extendedHead,
  times1: r32(0x04, { resetTime: hwinit(11, 0), linkUpTime: hwinit(23, 12), valid: hwinit(31) }),
  times2: r32(0x08, { functionResetTime: hwinit(11, 0), d3hotToD0Time: hwinit(23, 12) }),
  reset: time("times1.resetTime", "Reset time"),
  linkUp: time("times1.linkUpTime", "Link up time"),
  functionReset: time("times2.functionResetTime", "FLR time"),
  d3hotToD0: time("times2.d3hotToD0Time", "D3hot to D0 time"),
}));
export const readinessTime = extendedCapability(
  extendedCapabilityId.readinessTime,
  "RTR",
  readinessTimeCapability,
);
