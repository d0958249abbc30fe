import { extendedCapability, extendedHead } from "../capability.ts";
import { hwinit, ro, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32, r8 } from "../register.ts";
import { slotPower } from "./slot-power.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Power Budgeting, PCI Express Base Specification 7.8.1. */
export const powerBudgetingCapability = ownMap("PowerBudgeting", 0x10, {
  ...extendedHead,
  dataSelect: r8(0x04, "rw"),
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
    }),
  ),
  power: slotPower("data.basePower", "data.dataScale", "Power"),
  capability: r8(0x0c, { systemAllocated: hwinit(0) }),
});

export const powerBudgeting = extendedCapability(
  extendedCapabilityId.powerBudgeting,
  "PowerBudgeting",
  powerBudgetingCapability,
);
