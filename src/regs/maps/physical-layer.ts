// One capability a data rate, with the presets of each lane behind its registers.
import { extendedCapability, extendedHead, mapPerCount, type CapabilityType } from "../capability.ts";
import { hex, hwinit, ro, ros, rw, rw1cs, volatile } from "../field.ts";
import type { Entry } from "../entries.ts";
import { ownMap } from "../map.ts";
import { r32, r8 } from "../register.ts";
import { portFacts } from "./link.ts";
import { bitList } from "./bit-list.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const equalization = {
  complete: ros(0, "EquComplete"),
  phase1: ros(1, "EquPhase1"),
  phase2: ros(2, "EquPhase2"),
  phase3: ros(3, "EquPhase3"),
  request: rw1cs(4, "LinkEquRequest"),
} as const;

const physicalLayer = (
  id: number,
  name: string,
  lanesAt: number,
  registers: Readonly<Record<string, Entry>>,
): CapabilityType => {
  const maps = mapPerCount((lanes) =>
    ownMap(name, lanesAt + lanes, () => ({
      ...extendedHead,
      ...registers,
      ...repeat(lanes, (i) => ({
        [`lane${i}Presets`]: r8(lanesAt + i, { downstream: hwinit(3, 0), upstream: hwinit(7, 4) }),
      })),
    })),
  );
  return extendedCapability(id, name, (config, _at, limit) =>
    maps(fitting(portFacts(config).lanes, limit, lanesAt, 1)),
  );
};

// Bit n: the lane n.
const parity = (at: number) => volatile(hex(r32(at, "rw1cs")));

/** Physical Layer 16.0 GT/s, PCI Express Base Specification 7.7.5. */
export const physicalLayer16 = physicalLayer(extendedCapabilityId.physicalLayer16, "PL16", 0x20, {
  capabilities: r32(0x04, "rsvdp", "Phy16Cap"),
  control: r32(0x08, "rsvdp", "Phy16Ctl"),
  status: volatile(r32(0x0c, equalization, "Phy16Sta")),
  localParityMismatch: parity(0x10),
  firstRetimerParityMismatch: parity(0x14),
  secondRetimerParityMismatch: parity(0x18),
  localParityErrors: bitList("localParityMismatch", "LocalParityMismatch: lanes"),
  firstRetimerParityErrors: bitList("firstRetimerParityMismatch", "FirstRetimerParityMismatch: lanes"),
  secondRetimerParityErrors: bitList("secondRetimerParityMismatch", "SecondRetimerParityMismatch: lanes"),
});

const receivedTrainingSet = { usageMode: ro(2, 0), information: hex(ro(15, 3)), vendorId: hex(ro(31, 16)) };
const trainingSet = { usageMode: rw(2, 0), information: hex(rw(15, 3)), vendorId: hex(rw(31, 16)) };

/** Physical Layer 32.0 GT/s, PCI Express Base Specification 7.7.6. */
export const physicalLayer32 = physicalLayer(extendedCapabilityId.physicalLayer32, "PL32", 0x20, {
  capabilities: r32(
    0x04,
    {
      equalizationBypass: hwinit(0, "EqualizationBypass"),
      noEqualizationNeeded: hwinit(1, "NoEqualizationNeeded"),
      trainingSetMode0: ro(8, "ModTsMode0"),
      trainingSetMode1: hwinit(9, "ModTsMode1"),
      trainingSetMode2: hwinit(10, "ModTsMode2"),
    },
    "Phy32Cap",
  ),
  control: r32(
    0x08,
    {
      equalizationBypassDisable: rw(0, "EqualizationBypassDis"),
      noEqualizationNeededDisable: rw(1, "NoEqualizationNeededDis"),
      trainingSetMode: rw(10, 8, "Modified TS Usage Mode"),
    },
    "Phy32Ctl",
  ),
  status: volatile(
    r32(
      0x0c,
      {
        ...equalization,
        modifiedTrainingSetReceived: ro(5),
        receivedLinkBehavior: ro(7, 6),
        transmitterPrecodingOn: ro(8, "TxPrecodeOn"),
        transmitterPrecodingRequest: ro(9, "TxPrecodeReq"),
        noEqualizationNeededReceived: ro(10, "NoEqualizationNeededRecv"),
      },
      "Phy32Sta",
    ),
  ),
  receivedTrainingSet1: volatile(r32(0x10, receivedTrainingSet)),
  receivedTrainingSet2: volatile(r32(0x14, { information: hex(ro(23, 0)), negotiationStatus: ro(25, 24) })),
  transmittedTrainingSet1: r32(0x18, trainingSet),
  transmittedTrainingSet2: volatile(
    r32(0x1c, { information: hex(rw(23, 0)), negotiationStatus: ro(25, 24) }),
  ),
});

/** Physical Layer 64.0 GT/s, PCI Express Base Specification 7.7.7. */
export const physicalLayer64 = physicalLayer(extendedCapabilityId.physicalLayer64, "PL64", 0x10, {
  capabilities: r32(0x04, "rsvdp", "Phy64Cap"),
  control: r32(0x08, "rsvdp", "Phy64Ctl"),
  status: volatile(
    r32(
      0x0c,
      {
        ...equalization,
        transmitterPrecodingOn: ro(5, "TxPrecodeOn"),
        transmitterPrecodingRequest: ro(6, "TxPrecodeReq"),
        noEqualizationNeededReceived: ro(7, "NoEqualizationNeededRecv"),
      },
      "Phy64Sta",
    ),
  ),
});
