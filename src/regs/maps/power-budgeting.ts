import { composed } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hwinit, ro, rw, rws, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { powerLimit, powerText, type PowerLimit } from "./slot-power.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Connector Type, PCI Express Base Specification 6.3, table 7-123. */
const connectors = {
  "edge connector": 0,
  "power from the system": 1,
  "power from the card": 2,
  "power from elsewhere": 3,
  "2x3": 4,
  "2x4, any cable": 5,
  "2x4, 2x3 cable": 6,
  "2x4, 2x4 cable": 7,
  "12VHPWR, Sense0 open, Sense1 open": 8,
  "12VHPWR, Sense0 grounded, Sense1 open": 9,
  "12VHPWR, Sense0 open, Sense1 grounded": 10,
  "12VHPWR, Sense0 grounded, Sense1 grounded": 11,
  "48VHPWR, Sense0 open, Sense1 open": 12,
  "48VHPWR, Sense0 grounded, Sense1 open": 13,
  "48VHPWR, Sense0 open, Sense1 grounded": 14,
  "48VHPWR, Sense0 grounded, Sense1 grounded": 15,
  "12V-2x6, 150W": 16,
  "12V-2x6, 300W": 17,
  "12V-2x6, 450W": 18,
  "12V-2x6, 600W": 19,
  ...(Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`vendor specific ${at}`, 48 + at])) as Record<
    `vendor specific ${number}`,
    number
  >),
} as const;

/** Watts: with Extended Power Budgeting the scale goes on to tens and hundreds, and no value stands for another. */
function power(base = 0, low = 0, high = 0, extended = 0): PowerLimit | undefined {
  if (high === 0) return extended ? { watts: base / 10 ** low, above: false } : powerLimit(base, low);
  return low > 1 ? undefined : { watts: base * 10 ** (low + 1), above: false };
}

/** Of a connector's sense wires: what they say is its type's. */
const sense = (lo: number) => volatile(ro(lo + 2, lo));

/** Power Budgeting, PCI Express Base Specification 6.3, 7.8.1. */
export const powerBudgetingCapability = ownMap("PowerBudgeting", 0x10, () => ({
  ...extendedHead,
  dataSelect: r8(0x04, "rw"),
  control: r16(0x06, {
    extendedEnable: rw(0),
    powerLimitEnable: rws(1),
    powerLimitSubState: rws(4, 2),
    outOfBandLimitEnable: hwinit(5),
    outOfBandLimitSubState: hwinit(8, 6),
  }),
  // What `dataSelect` chose.
  data: volatile(
    r32(0x08, {
      basePower: ro(7, 0),
      dataScale: ro(9, 8, ["1", "0.1", "0.01", "0.001"]),
      pmSubState: ro(12, 10),
      pmState: ro(14, 13, ["D0", "D1", "D2", "D3"]),
      type: ro(17, 15, {
        "PME Aux": 0,
        Auxiliary: 1,
        Idle: 2,
        Sustained: 3,
        "Sustained - Emergency": 4,
        "Maximum - Emergency": 5,
        Maximum: 7,
      }),
      powerRail: ro(20, 18, { "12V": 0, "3.3V": 1, "1.5V/1.8V": 2, "48V": 3, "5V": 4, Thermal: 7 }),
      /** Above `dataScale`: with it 0 is 10, and 1 is 100. */
      dataScaleHigh: ro(21),
      connectorNumber: ro(24, 22),
      connectorType: ro(30, 25, connectors),
      extendedPresent: ro(31),
    }),
  ),
  power: composed(
    ["data.basePower", "data.dataScale", "data.dataScaleHigh", "control.extendedEnable"],
    power,
    { label: "Power", text: powerText },
  ),
  // The sense wires of each connector are Power Budgeting Sense Detect, three bytes behind the one of the capabilities.
  capability: r32(0x0c, {
    systemAllocated: hwinit(0),
    extendedSupported: hwinit(1),
    senseDetectSupported: hwinit(2),
    powerLimitSupported: hwinit(3),
    powerDisable: hwinit(5, 4, ["not reported", "supported", "supported, abbreviated"]),
    powerLossNotification: hwinit(7, 6, ["not reported", "supported", "supported, acknowledged"]),
    connector0Sense: sense(8),
    connector1Sense: sense(11),
    connector2Sense: sense(14),
    connector3Sense: sense(17),
    connector4Sense: sense(20),
    connector5Sense: sense(23),
    connector6Sense: sense(26),
    connector7Sense: sense(29),
  }),
}));

export const powerBudgeting = extendedCapability(
  extendedCapabilityId.powerBudgeting,
  "PowerBudgeting",
  powerBudgetingCapability,
);
