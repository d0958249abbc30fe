import { latency } from "./latency.ts";
import { composed } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hwinit, rw, rw1c, scaled, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Multiplies the T_POWER_ON value. */
const powerOnScale = ["2us", "10us", "100us"] as const;

const powerOnUnits = [2, 10, 100] as const;
/** T_POWER_ON in microseconds. */
const powerOnTime = <const R extends string>(register: R, label: string) =>
  composed(
    [`${register}.powerOnScale`, `${register}.powerOnValue`],
    (scale, value) => {
      const unit = powerOnUnits[scale!];
      return unit === undefined ? undefined : unit * value!;
    },
    { label, unit: "us" },
  );

const registers = {
  ...extendedHead,
  capabilities: r32(
    0x04,
    {
      pciPmL12: hwinit(0, "PCI-PM_L1.2"),
      pciPmL11: hwinit(1, "PCI-PM_L1.1"),
      aspmL12: hwinit(2, "ASPM_L1.2"),
      aspmL11: hwinit(3, "ASPM_L1.1"),
      substates: hwinit(4, "L1_PM_Substates"),
      linkActivation: hwinit(5),
      commonModeRestoreTime: scaled(hwinit(15, 8, "PortCommonModeRestoreTime"), 1, { unit: "us" }),
      powerOnScale: hwinit(17, 16, powerOnScale),
      powerOnValue: hwinit(23, 19),
    },
    "L1SubCap",
  ),
  control1: r32(
    0x08,
    {
      pciPmL12Enable: rw(0, "PCI-PM_L1.2"),
      pciPmL11Enable: rw(1, "PCI-PM_L1.1"),
      aspmL12Enable: rw(2, "ASPM_L1.2"),
      aspmL11Enable: rw(3, "ASPM_L1.1"),
      linkActivationInterruptEnable: rw(4),
      linkActivationControl: rw(5),
      commonModeRestoreTime: scaled(rw(15, 8, "T_CommonMode"), 1, { unit: "us" }),
      /** In units of 32^scale ns. */
      thresholdValue: rw(25, 16),
      thresholdScale: rw(31, 29),
    },
    "L1SubCtl1",
  ),
  /** Undefined for a reserved scale. */
  portPowerOnTime: powerOnTime("capabilities", "PortTPowerOnTime"),
  ltrThreshold: composed(
    ["control1.thresholdValue", "control1.thresholdScale"],
    (value, scale) => latency(value!, scale!),
    { label: "LTR1.2_Threshold", unit: "ns" },
  ),
  powerOnTime: powerOnTime("control2", "T_PwrOn"),
  control2: r32(0x0c, { powerOnScale: rw(1, 0, powerOnScale), powerOnValue: rw(7, 3) }, "L1SubCtl2"),
} as const;

/** L1 PM Substates, PCI Express Base Specification 7.8.3. */
export const l1SubstatesCapability = ownMap("L1SS", 0x10, () => registers);
const withStatus = ownMap("L1SS", 0x14, () => ({
  ...registers,
  status: volatile(r32(0x10, { linkActivation: rw1c(0) })),
}));

export const l1Substates = extendedCapability(
  extendedCapabilityId.l1Substates,
  "L1SS",
  (config, at, limit) =>
    limit >= 0x14 && config.getUint32(at + 4, true) & 0x20 ? withStatus : l1SubstatesCapability,
);
