import { hwinit, ro, ros, rw, rw1c, rws, volatile } from "../field.ts";
import { r16, r32 } from "../register.ts";
import { speeds, supportedSpeeds } from "./link-speeds.ts";

/** What a link's ASPM field says. */
export const aspm = ["not supported", "L0s", "L1", "L0s L1"] as const;
export const aspmEnabled = ["Disabled", "L0s Enabled", "L1 Enabled", "L0s L1 Enabled"] as const;
export const l0sExitLatency = [
  "<64ns",
  "<128ns",
  "<256ns",
  "<512ns",
  "<1us",
  "<2us",
  "<4us",
  "unlimited",
] as const;
export const l1ExitLatency = [
  "<1us",
  "<2us",
  "<4us",
  "<8us",
  "<16us",
  "<32us",
  "<64us",
  "unlimited",
] as const;
const presets = [
  "-6dB de-emphasis, 0dB preshoot",
  "-3.5dB de-emphasis, 0dB preshoot",
  "-4.4dB de-emphasis, 0dB preshoot",
  "-2.5dB de-emphasis, 0dB preshoot",
  "0dB de-emphasis, 0dB preshoot",
  "0dB de-emphasis, 1.9dB preshoot",
  "0dB de-emphasis, 2.5dB preshoot",
  "-6.0dB de-emphasis, 3.5dB preshoot",
  "-3.5dB de-emphasis, 3.5dB preshoot",
  "0dB de-emphasis, 3.5dB preshoot",
  "P10",
] as const;
const deEmphasis = ["-6dB", "-3.5dB"] as const;

/** Link registers of the PCI Express Capability, PCI Express Base Specification 7.5.3.6 to 7.5.3.8. */
export const expressLink = {
  linkCapabilities: r32(
    0x0c,
    {
      // What has no link, as an integrated endpoint, has 0 in all of its registers.
      maxSpeed: ro(3, 0, { unknown: 0, ...speeds }, "Speed"),
      /** In lanes. */
      maxWidth: ro(9, 4, "Width"),
      aspm: ro(11, 10, aspm, "ASPM"),
      l0sExitLatency: ro(14, 12, l0sExitLatency, "Exit Latency L0s"),
      l1ExitLatency: ro(17, 15, l1ExitLatency, "Exit Latency L1"),
      clockPowerManagement: ro(18, "ClockPM"),
      surpriseDown: ro(19, "Surprise"),
      dataLinkActiveReporting: ro(20, "LLActRep"),
      bandwidthNotification: ro(21, "BwNot"),
      aspmOptionality: hwinit(22, "ASPMOptComp"),
      portNumber: hwinit(31, 24, "Port"),
    },
    "LnkCap",
  ),
  linkControl: r16(
    0x10,
    {
      aspm: rw(1, 0, aspmEnabled, "ASPM"),
      /** In bytes. */
      readCompletionBoundary: rw(3, 3, ["64", "128"], "RCB"),
      disable: rw(4, "Disabled"),
      // Reads as 0.
      retrain: rw(5, "Retrain"),
      commonClock: rw(6, "CommClk"),
      extendedSynch: rw(7, "ExtSynch"),
      clockPowerManagement: rw(8, "ClockPM"),
      autonomousWidthDisable: rw(9, "AutWidDis"),
      bandwidthManagementInterrupt: rw(10, "BWInt"),
      autonomousBandwidthInterrupt: rw(11, "AutBWInt"),
      srisClocking: rw(12, "SRISClocking"),
      flitModeDisable: rw(13, "FlitModeDis"),
      drsSignaling: rw(15, 14, "DRSSignaling"),
    },
    "LnkCtl",
  ),
  linkStatus: r16(
    0x12,
    {
      // Of a link that is down nothing is defined: 0 as a rule.
      speed: volatile(ro(3, 0, { unknown: 0, ...speeds }, "Speed")),
      /** In lanes. */
      width: volatile(ro(9, 4, "Width")),
      // Defined in version 1.0 of the specification alone.
      trainingError: volatile(ro(10, "TrErr")),
      training: volatile(ro(11, "Train")),
      slotClock: hwinit(12, "SlotClk"),
      dataLinkActive: volatile(ro(13, "DLActive")),
      bandwidthManagement: volatile(rw1c(14, "BWMgmt")),
      autonomousBandwidth: volatile(rw1c(15, "ABWMgmt")),
    },
    "LnkSta",
  ),
} as const;

/** Their second half, PCI Express Base Specification 7.5.3.18 to 7.5.3.20. */
export const expressLink2 = {
  linkCapabilities2: r32(
    0x2c,
    {
      supportedSpeeds: hwinit(7, 1, supportedSpeeds, "Supported Link Speeds"),
      crosslink: ro(8, "Crosslink"),
      lowerSkpGeneration: hwinit(15, 9, "LowSKPGen"),
      lowerSkpReception: hwinit(22, 16, "LowSKPRecv"),
      retimer: hwinit(23, "Retimer"),
      twoRetimers: hwinit(24, "2Retimers"),
      drs: hwinit(31, "DRS"),
    },
    "LnkCap2",
  ),
  linkControl2: r16(
    0x30,
    {
      // A component of 2.5 GT/s alone may hardwire 0.
      targetSpeed: rws(3, 0, { ...speeds, "2.5GT/s": [1, 0] }, "Target Link Speed"),
      enterCompliance: rws(4, "EnterCompliance"),
      autonomousSpeedDisable: rws(5, "SpeedDis"),
      selectableDeEmphasis: hwinit(6, 6, deEmphasis, "Selectable De-emphasis"),
      transmitMargin: rws(9, 7, "Transmit Margin"),
      enterModifiedCompliance: rws(10, "EnterModifiedCompliance"),
      complianceSos: rws(11, "ComplianceSOS"),
      compliancePreset: rws(15, 12, presets, "Compliance Preset/De-emphasis"),
    },
    "LnkCtl2",
  ),
  linkStatus2: r16(
    0x32,
    {
      deEmphasis: volatile(ro(0, 0, deEmphasis, "Current De-emphasis Level")),
      equalizationComplete: volatile(ros(1, "EqualizationComplete")),
      equalizationPhase1: volatile(ros(2, "EqualizationPhase1")),
      equalizationPhase2: volatile(ros(3, "EqualizationPhase2")),
      equalizationPhase3: volatile(ros(4, "EqualizationPhase3")),
      linkEqualizationRequest: volatile(rw1c(5, "LinkEqualizationRequest")),
      retimer: volatile(ros(6, "Retimer")),
      twoRetimers: volatile(ros(7, "2Retimers")),
      crosslinkResolution: volatile(
        ro(9, 8, ["unsupported", "Upstream Port", "Downstream Port", "incomplete"], "CrosslinkRes"),
      ),
      flitMode: volatile(ro(10, "FlitMode")),
      downstreamComponent: volatile(
        ro(
          14,
          12,
          {
            "Link Down - Not Determined": 0,
            "Link Down - Not Present": 1,
            "Link Down - Present": 2,
            "Link Up - Present": 4,
            "Link Up - Present and DRS Received": 5,
          },
          "DownstreamComp",
        ),
      ),
      drsReceived: volatile(rw1c(15, "DRS")),
    },
    "LnkSta2",
  ),
} as const;
