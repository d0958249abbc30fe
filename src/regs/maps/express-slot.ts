import { slotPower } from "./slot-power.ts";
import { hwinit, ro, rw, rw1c, volatile } from "../field.ts";
import { r16, r32 } from "../register.ts";

const indicator = { Unknown: 0, On: 1, Blink: 2, Off: 3 } as const;

/** Slot registers of the PCI Express Capability, PCI Express Base Specification 7.5.3.9 to 7.5.3.11. */
export const expressSlot = {
  slotCapabilities: r32(
    0x14,
    {
      attentionButton: hwinit(0, "AttnBtn"),
      powerController: hwinit(1, "PwrCtrl"),
      mrlSensor: hwinit(2, "MRL"),
      attentionIndicator: hwinit(3, "AttnInd"),
      powerIndicator: hwinit(4, "PwrInd"),
      hotPlugSurprise: hwinit(5, "Surprise"),
      hotPlug: hwinit(6, "HotPlug"),
      /** Times `powerLimitScale`, in W; 0xf0 and above are steps from 250 W. */
      powerLimit: hwinit(14, 7, "PowerLimit"),
      powerLimitScale: hwinit(16, 15, ["1", "0.1", "0.01", "0.001"], "PowerLimitScale"),
      interlock: hwinit(17, "Interlock"),
      noCommandCompleted: hwinit(18, "NoCompl"),
      physicalSlot: hwinit(31, 19, "Slot"),
    },
    "SltCap",
  ),
  slotPowerLimit: slotPower("slotCapabilities.powerLimit", "slotCapabilities.powerLimitScale", "PowerLimit"),
  slotControl: r16(
    0x18,
    {
      attentionButton: rw(0, "Enable: AttnBtn"),
      powerFault: rw(1, "Enable: PwrFlt"),
      mrlSensor: rw(2, "Enable: MRL"),
      presenceDetect: rw(3, "Enable: PresDet"),
      commandCompleted: rw(4, "Enable: CmdCplt"),
      hotPlugInterrupt: rw(5, "Enable: HPIrq"),
      attentionIndicator: rw(7, 6, indicator, "Control: AttnInd"),
      powerIndicator: rw(9, 8, indicator, "Control: PwrInd"),
      /** Set turns the slot's power off. */
      powerController: rw(10, "Control: Power"),
      interlock: rw(11, "Control: Interlock"),
      linkState: rw(12, "Enable: LinkChg"),
      autoPowerLimitDisable: rw(13, "Control: AutoPwrLimitDis"),
      inBandPresenceDisable: rw(14, "Control: InBandPDDis"),
    },
    "SltCtl",
  ),
  slotStatus: r16(
    0x1a,
    {
      attentionButton: volatile(rw1c(0, "Status: AttnBtn")),
      powerFault: volatile(rw1c(1, "Status: PowerFlt")),
      mrlSensorChanged: volatile(rw1c(2, "Changed: MRL")),
      presenceDetectChanged: volatile(rw1c(3, "Changed: PresDet")),
      commandCompleted: volatile(rw1c(4, "Status: CmdCplt")),
      mrlSensor: volatile(ro(5, "Status: MRL")),
      presenceDetect: volatile(ro(6, "Status: PresDet")),
      interlock: volatile(ro(7, "Status: Interlock")),
      linkStateChanged: volatile(rw1c(8, "Changed: LinkState")),
    },
    "SltSta",
  ),
} as const;

/** Their second half, reserved but for one bit: PCI Express Base Specification 7.5.3.21 to 7.5.3.23. */
export const expressSlot2 = {
  slotCapabilities2: r32(0x34, { inBandPresenceDisable: hwinit(0, "InBandPDDis") }, "SltCap2"),
  // Both are reserved.
  slotControl2: r16(0x38, "rsvdp"),
  slotStatus2: r16(0x3a, "rsvdz"),
} as const;
