// What of the capabilities has changed since format 1 of decoded config spaces was the only one.
import { supportedSpeeds } from "./maps/link-speeds.ts";

/** What format 1 tells otherwise of a capability. Paths are registers, `register.field`s, or beginnings of such with `*`. */
export interface Then {
  /** What came later. */
  readonly later?: readonly string[];
  /** Values whose bits had no name, by path; of `all` no bits had. */
  readonly unnamed?: Readonly<Record<string, readonly number[] | "all">>;
  /** What has another name now; of a field "": its register was that number. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Reserved registers that were shown; those of one bit that was taken for a flag, with its name. */
  readonly reserved?: Readonly<Record<string, string | undefined>>;
  /** From which byte of the capability on there were `bytes`; undefined: there were none. Without it they are as now. */
  readonly bytesFrom?: number | undefined;
}

const headOnly: Then = { bytesFrom: undefined };
/** A device was taken to support every speed below its highest. */
const speedsWithGaps = Object.values(supportedSpeeds).filter((bits) => (bits & (bits + 1)) !== 0);
const linkCodes = ["maxLinkSpeed", "aspmSupport", "l0sExitLatency", "l1ExitLatency", "supportedLinkSpeeds"];

/** By the name of the capability. */
export const table: Readonly<Record<string, Then>> = {
  PCIe: {
    later: [
      "flags.flitMode",
      "deviceCapabilities.rxMpsFixed",
      "deviceCapabilities.mixedMps",
      "deviceCapabilities.teeIo",
      "deviceCapabilities2.deferrableWriteCompleter",
      "deviceCapabilities2.deferrableWriteLengths",
      "linkControl.srisClocking",
      "linkControl.flitModeDisable",
      "rootControl.noNonFlitBelow",
      "slotControl.inBandPresenceDisable",
    ],
    unnamed: {
      "linkCapabilities.maxSpeed": [0],
      "linkStatus.speed": [0],
      "linkControl2.targetSpeed": [0],
      "linkCapabilities2.supportedSpeeds": speedsWithGaps,
      "linkControl2.compliancePreset": [10],
    },
    reserved: {
      deviceStatus2: undefined,
      slotControl2: "inBandPresenceDisable",
      slotStatus2: undefined,
    },
  },
  PowerBudgeting: {
    later: [
      "control",
      "data.dataScaleHigh",
      "data.connector*",
      "data.extendedPresent",
      "capability.extendedSupported",
      "capability.senseDetectSupported",
      "capability.power*",
      "capability.connector*",
    ],
    bytesFrom: 0x0d,
  },
  ATS: { later: ["capability.memoryAttributes", "control.memoryAttributes*"] },
  "SR-IOV": { later: ["capabilities.fourteenBitTagRequester", "control.fourteenBitTagRequesterEnable"] },
  DPC: {
    later: ["capability.logSizeHigh", "control.sigSfwEnable", "status.sigSfw"],
    renamed: { "capability.logSizeLow": "logSize" },
  },
  PTM: {
    later: ["capability.enhanced", "capability.delayAdaptation", "control.delayInterpretationB"],
  },
  DOE: {
    later: [
      "capabilities.attentionMechanism",
      "capabilities.asyncMessage",
      "control.attentionNotNeeded",
      "control.asyncMessageEnable",
      "status.asyncMessage",
      "status.atAttention",
    ],
  },
  IDE: { later: ["capability.xt", "linkStream*", "selectiveStream*"] },
  RCInternalLink: {
    unnamed: {
      ...Object.fromEntries(linkCodes.map((code) => [`linkCapabilities.${code}`, "all" as const])),
      "linkControl.aspmControl": "all",
      "linkStatus.currentLinkSpeed": "all",
    },
  },
  CAC: headOnly,
  "MR-IOV": headOnly,
  PMUX: headOnly,
  LNR: headOnly,
  "M-PCIe": headOnly,
  AlternateProtocol: headOnly,
  SFI: headOnly,
};
/** Of Compute Express Link, by the ID of the DVSEC. */
export const cxl: Readonly<Record<number, Then>> = {
  0: {
    later: [
      "capability.tspCapable",
      "control.directP2pMemEnable",
      "control2.hotResetHdmState",
      "control2.modifiedCompletionEnable",
    ],
  },
  5: { renamed: { phase2: "phase2Duration", "phase2Power.milliwatts": "" } },
  7: {
    later: [
      "portStatus.evenHalfFailed",
      "portStatus.correctableFraming",
      "portStatus.uncorrectableFraming",
      "portStatus.unexpectedProtocolId",
      "portStatus.retimersMismatched",
      "portStatus.phase2Mismatch",
    ],
  },
};
/** Capabilities that had no map, by their names of now. */
export const nameless = new Set([
  "HotSwap",
  "CentralResource",
  "SecureDevice",
  "FPB",
  "Device3",
  "FlitLogging",
  "FlitPerformance",
  "FlitErrorInjection",
  "SVC",
  "RegisterBlocks",
  "NOPFlit",
  "SIOV",
  "ShadowFunctions",
]);
