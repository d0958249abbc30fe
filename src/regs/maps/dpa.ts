import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { composed, type ComposedValue } from "../derived.ts";
import { hex, ro, rw, rw1c, scaled, volatile } from "../field.ts";
import type { Entry } from "../entries.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const arrayAt = 0x10;

const registers = {
  ...extendedHead,
  capability: r32(0x04, {
    substates: scaled(ro(4, 0), 1, { plus: 1 }),
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

/** What a substate takes, and how long the change to it takes at most. */
interface Substate {
  readonly [name: string]: ComposedValue;
  readonly watts: number;
  readonly milliseconds: number | null;
}

/** The power is a value in tenfold units, the latency one of two by the substate's bit of the indicator. */
const substate = (index: number): Entry =>
  composed(
    [
      `powerAllocation${index}`,
      "capability.powerScale",
      "latencyIndicator",
      "capability.latencyUnit",
      "capability.latencyValue0",
      "capability.latencyValue1",
    ],
    (power = 0, scale = 0, indicator = 0, unit = 0, latency0 = 0, latency1 = 0): Substate => ({
      watts: scale === 0 ? 10 * power : power / 10 ** (scale - 1),
      milliseconds: unit > 2 ? null : ((indicator >>> index) & 1 ? latency1 : latency0) * 10 ** unit,
    }),
    {
      label: `Substate ${index}`,
      text: ({ watts, milliseconds }) =>
        `${watts}W${milliseconds === null ? "" : `, latency ${milliseconds}ms`}`,
    },
  );

/** What every Dynamic Power Allocation capability begins with. */
export const dynamicPowerAllocationHead = ownMap("DPA", arrayAt, () => registers);

const maps = mapPerCount((substates) =>
  ownMap("DPA", arrayAt + substates, () => ({
    ...registers,
    ...repeat(substates, (i) => ({
      [`powerAllocation${i}`]: r8(arrayAt + i, "ro"),
      [`substate${i}`]: substate(i),
    })),
  })),
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
