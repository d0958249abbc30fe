import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, hwinit, rw, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { portFacts } from "./link.ts";
import { bitList } from "./bit-list.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const lanesAt = 0x0c;

const maps = mapPerCount((lanes) =>
  ownMap("SecondaryPCIe", lanesAt + 2 * lanes, () => ({
    ...extendedHead,
    linkControl3: r32(
      0x04,
      {
        performEqualization: rw(0, "PerformEqu"),
        equalizationInterruptEnable: rw(1, "LnkEquIntrruptEn"),
        lowerSkpGeneration: hex(rw(15, 9)),
      },
      "LnkCtl3",
    ),
    // Bit n: the lane n.
    laneErrorStatus: volatile(hex(r32(0x08, "rw1cs", "LaneErrStat"))),
    laneErrors: bitList("laneErrorStatus", "LaneErrStat: lanes"),
    ...repeat(lanes, (i) => ({
      [`lane${i}Equalization`]: r16(lanesAt + 2 * i, {
        downstreamTransmitterPreset: hwinit(3, 0),
        downstreamReceiverHint: hwinit(6, 4),
        upstreamTransmitterPreset: hwinit(11, 8),
        upstreamReceiverHint: hwinit(14, 12),
      }),
    })),
  })),
);

/** Secondary PCI Express (the 8.0 GT/s link), PCI Express Base Specification 7.7.3: an entry for each lane. */
export const secondaryPcie = extendedCapability(
  extendedCapabilityId.secondaryPcie,
  "SecondaryPCIe",
  (config, _at, limit) => maps(fitting(portFacts(config).lanes, limit, lanesAt, 2)),
);
