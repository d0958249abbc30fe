import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const arrayAt = 0x10;

const registers = {
  ...extendedHead,
  capability: r32(0x04, {
    /** Less one. */
    substates: ro(4, 0),
    latencyUnit: ro(9, 8, ["1ms", "10ms", "100ms"]),
    powerScale: ro(13, 12, ["10W", "1W", "0.1W", "0.01W"]),
    latencyValue0: ro(23, 16),
    latencyValue1: ro(31, 24),
  }),
  // Bit n: which of the two latencies the substate n has.
  latencyIndicator: hex(r32(0x08, "ro")),
  status: volatile(r16(0x0c, { substate: ro(4, 0), controlEnabled: rw1c(8) })),
  control: r16(0x0e, { substate: rw(4, 0) }),
} as const;
/** What every Dynamic Power Allocation capability begins with. */
export const dynamicPowerAllocationHead = ownMap("DPA", arrayAt, registers);

const maps = mapPerCount((substates) =>
  ownMap("DPA", arrayAt + substates, {
    ...registers,
    ...repeat(substates, (i) => ({ [`powerAllocation${i}`]: r8(arrayAt + i, "ro") })),
  }),
);

/** Dynamic Power Allocation, PCI Express Base Specification 7.9.12: 1 to 32 substates. */
export const dpa = extendedCapability(
  extendedCapabilityId.dynamicPowerAllocation,
  "DPA",
  (config, at, limit) => {
    const substates = limit >= 8 ? (config.getUint8(at + 4) & 0x1f) + 1 : 0;
    return maps(fitting(substates, limit, arrayAt, 1));
  },
);
