import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, hwinit, ro, rw, volatile, type Field } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import type { Access } from "../access.ts";
import { portFacts } from "./link.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const lanesAt = 0x08;

interface Bits<A extends Access> {
  (bit: number): Field<A, boolean>;
  (hi: number, lo: number): Field<A, number>;
}
const command = <A extends Access>(bits: Bits<A>) => ({
  receiver: bits(2, 0),
  type: bits(5, 3),
  usageModel: bits(6),
  payload: hex(bits(15, 8)),
});

const maps = mapPerCount((lanes) =>
  ownMap("LaneMargining", lanesAt + 4 * lanes, () => ({
    ...extendedHead,
    portCapabilities: r16(0x04, { usesDriver: hwinit(0, "Uses Driver") }, "PortCap"),
    portStatus: volatile(
      r16(0x06, { ready: ro(0, "MargReady"), softwareReady: ro(1, "MargSoftReady") }, "PortSta"),
    ),
    ...repeat(lanes, (i) => ({
      [`lane${i}Control`]: r16(lanesAt + 4 * i, command(rw)),
      [`lane${i}Status`]: volatile(r16(lanesAt + 4 * i + 2, command(ro))),
    })),
  })),
);

/** Lane Margining at the Receiver, PCI Express Base Specification 7.7.10. */
export const laneMargining = extendedCapability(
  extendedCapabilityId.laneMargining,
  "LaneMargining",
  (config, _at, limit) => maps(fitting(portFacts(config).lanes, limit, lanesAt, 4)),
);
