import type { Access } from "../access.ts";
import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro, ros, rw, rw1cs, rws, volatile, type Field } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32, reset } from "../register.ts";
import { portFacts, portTypes } from "./link.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

type Bit<A extends Access> = (bit: number, label?: string) => Field<A, boolean>;

/** The errors of the status, mask and severity registers alike, 7.8.4.2 to 7.8.4.4. */
const uncorrectable = <A extends Access>(bit: Bit<A>) => ({
  dataLinkProtocol: bit(4, "DLP"),
  surpriseDown: bit(5, "SDES"),
  poisonedTlp: bit(12, "TLP"),
  flowControlProtocol: bit(13, "FCP"),
  completionTimeout: bit(14, "CmpltTO"),
  completerAbort: bit(15, "CmpltAbrt"),
  unexpectedCompletion: bit(16, "UnxCmplt"),
  receiverOverflow: bit(17, "RxOF"),
  malformedTlp: bit(18, "MalfTLP"),
  ecrc: bit(19, "ECRC"),
  unsupportedRequest: bit(20, "UnsupReq"),
  acsViolation: bit(21, "ACSViol"),
  internal: bit(22, "UncorrIntErr"),
  multicastBlocked: bit(23, "BlockedTLP"),
  atomicOpEgressBlocked: bit(24, "AtomicOpBlocked"),
  tlpPrefixBlocked: bit(25, "TLPBlockedErr"),
  poisonedTlpEgressBlocked: bit(26, "PoisonTLPBlocked"),
  deferrableWriteEgressBlocked: bit(27, "DMWrReqBlocked"),
  ideCheckFailed: bit(28, "IDECheck"),
  misroutedIde: bit(29, "MisIDETLP"),
  pcrcCheckFailed: bit(30, "PCRC_CHECK"),
  translationEgressBlocked: bit(31, "TLPXlatBlocked"),
});

/** 7.8.4.5 and 7.8.4.6. */
const correctable = <A extends Access>(bit: Bit<A>) => ({
  receiver: bit(0, "RxErr"),
  badTlp: bit(6, "BadTLP"),
  badDllp: bit(7, "BadDLLP"),
  replayNumberRollover: bit(8, "Rollover"),
  replayTimerTimeout: bit(12, "Timeout"),
  advisoryNonFatal: bit(13, "AdvNonFatalErr"),
  internal: bit(14, "CorrIntErr"),
  headerLogOverflow: bit(15, "HeaderOF"),
});

const log = (at: number) => volatile(hex(r32(at, "ros", "HeaderLog")));

/** What every function has of Advanced Error Reporting, PCI Express Base Specification 7.8.4. */
export const aerRegisters = {
  ...extendedHead,
  uncorrectableStatus: volatile(r32(0x04, uncorrectable(rw1cs), "UESta")),
  uncorrectableMask: r32(0x08, uncorrectable(rws), "UEMsk"),
  uncorrectableSeverity: reset(0x0046_2030, r32(0x0c, uncorrectable(rws), "UESvrt")),
  correctableStatus: volatile(r32(0x10, correctable(rw1cs), "CESta")),
  correctableMask: reset(0x0000_e000, r32(0x14, correctable(rws), "CEMsk")),
  capabilities: r32(
    0x18,
    {
      firstErrorPointer: volatile(hex(ros(4, 0, "First Error Pointer"))),
      ecrcGenerationCapable: ro(5, "ECRCGenCap"),
      ecrcGenerationEnable: rws(6, "ECRCGenEn"),
      ecrcCheckCapable: ro(7, "ECRCChkCap"),
      ecrcCheckEnable: rws(8, "ECRCChkEn"),
      multipleHeaderCapable: ro(9, "MultHdrRecCap"),
      multipleHeaderEnable: rws(10, "MultHdrRecEn"),
      tlpPrefixLogPresent: volatile(ros(11, "TLPPfxPres")),
      completionTimeoutLogCapable: ro(12, "HdrLogCap"),
      /** In DWORDs; 0 or 4 to 14. */
      headerLogSize: ro(17, 13),
      loggedInFlitMode: volatile(ros(18)),
      loggedSize: volatile(ros(23, 19)),
    },
    "AERCap",
  ),
  headerLog0: log(0x1c),
  headerLog1: log(0x20),
  headerLog2: log(0x24),
  headerLog3: log(0x28),
} as const;

/** Of root ports and root complex event collectors alone, 7.8.4.9 to 7.8.4.11. */
export const aerRootRegisters = {
  rootCommand: r32(
    0x2c,
    { correctableEnable: rw(0, "CERptEn"), nonFatalEnable: rw(1, "NFERptEn"), fatalEnable: rw(2, "FERptEn") },
    "RootCmd",
  ),
  rootStatus: volatile(
    r32(
      0x30,
      {
        correctableReceived: rw1cs(0, "CERcvd"),
        multipleCorrectableReceived: rw1cs(1, "MultCERcvd"),
        uncorrectableReceived: rw1cs(2, "UERcvd"),
        multipleUncorrectableReceived: rw1cs(3, "MultUERcvd"),
        firstUncorrectableFatal: rw1cs(4, "FirstFatal"),
        nonFatalReceived: rw1cs(5, "NonFatalMsg"),
        fatalReceived: rw1cs(6, "FatalMsg"),
        correctableSubclass: ros(8, 7),
        interruptMessage: ro(31, 27, "IntMsg"),
      },
      "RootSta",
    ),
  ),
  errorSource: volatile(
    r32(
      0x34,
      { correctable: hex(ros(15, 0, "ERR_COR")), uncorrectable: hex(ros(31, 16, "ERR_FATAL/NONFATAL")) },
      "ErrorSrc",
    ),
  ),
} as const;

/** Advanced Error Reporting of an endpoint or a switch port, without a log of TLP prefixes. */
export const aerCapability = ownMap("AER", 0x2c, () => aerRegisters);
/** Advanced Error Reporting of a root port or an event collector. */
export const aerRootCapability = ownMap("AER", 0x38, () => ({ ...aerRegisters, ...aerRootRegisters }));

const longest = 10;
const maps = mapPerCount((key) => {
  const root = key >= 16;
  const extra = key & 15;
  if (extra === 0) return root ? aerRootCapability : aerCapability;
  return ownMap("AER", 0x38 + 4 * extra, () => ({
    ...aerRegisters,
    ...(root && aerRootRegisters),
    ...repeat(extra, (i) => ({ [`tlpLog${i}`]: volatile(hex(r32(0x38 + 4 * i, "ros", "TLPPrefixLog"))) })),
  }));
});

/** Advanced Error Reporting. The log at 0x38 holds 4 DWORDs of TLP prefixes, or what a Flit Mode header has past 4. */
export const aer = extendedCapability(extendedCapabilityId.aer, "AER", (config, at, limit) => {
  const { type, tlpPrefix } = portFacts(config);
  const root = type === portTypes.rootPort || type === portTypes.eventCollector;
  const control = limit >= 0x1c ? config.getUint32(at + 0x18, true) : 0;
  const headerLogSize = (control >>> 13) & 0x1f;
  const wanted = Math.max(tlpPrefix || control & 0x800 ? 4 : 0, Math.min(longest, headerLogSize - 4));
  return maps(fitting(wanted, limit, 0x38, 4) + (root ? 16 : 0));
});
