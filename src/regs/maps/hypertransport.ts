import { joinedBig } from "../derived.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { hex, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r16, r32, r8, type Register } from "../register.ts";
import { capabilityId } from "./ids.ts";

// HyperTransport I/O Link Specification 2.0, chapter 7. Bits 15:11 of the command register are the type of the
// block; for the two interfaces only 15:13 are.

const widths = ["8bit", "16bit", "[2]", "32bit", "2bit", "4bit", "[6]", "N/C"] as const;
const frequencies = [
  "200MHz", "300MHz", "400MHz", "500MHz", "600MHz", "800MHz", "1.0GHz", "1.2GHz",
  "1.4GHz", "1.6GHz", "[a]", "[b]", "[c]", "[d]", "[e]", "Vend",
] as const; // prettier-ignore

const linkControl = (at: number, label: string) =>
  r16(
    at,
    {
      crcFloodEnable: rw(1, "CFlE"),
      crcStartTest: rw(2, "CST"),
      crcForceError: rw(3, "CFE"),
      linkFailure: volatile(rw1c(4, "<LkFail")),
      initializationComplete: volatile(ro(5, "Init")),
      endOfChain: rw(6, "EOC"),
      transmitterOff: rw(7, "TXO"),
      crcError: volatile(hex(rw1c(11, 8, "<CRCErr"))),
      isochronousEnable: rw(12, "IsocEn"),
      ldtstopTristate: rw(13, "LSEn"),
      extendedCtlTime: rw(14, "ExtCTL"),
      address64Bit: rw(15, "64b"),
    },
    label,
  );
const linkConfig = (at: number, label: string) =>
  r16(
    at,
    {
      maxWidthIn: ro(2, 0, widths, "MLWI"),
      doublewordFlowIn: ro(3, "DwFcIn"),
      maxWidthOut: ro(6, 4, widths, "MLWO"),
      doublewordFlowOut: ro(7, "DwFcOut"),
      widthIn: rw(10, 8, widths, "LWI"),
      doublewordFlowInEnable: rw(11, "DwFcInEn"),
      widthOut: rw(14, 12, widths, "LWO"),
      doublewordFlowOutEnable: rw(15, "DwFcOutEn"),
    },
    label,
  );
const revision = (at: number) => r8(at, { minor: ro(4, 0), major: ro(7, 5) }, "Revision ID");
const linkError = (at: number, suffix: string) =>
  r8(
    at,
    {
      frequency: rw(3, 0, frequencies, `Frequency`),
      protocolError: volatile(rw1c(4, "<Prot")),
      overflowError: volatile(rw1c(5, "<Ovfl")),
      endOfChainError: volatile(rw1c(6, "<EOC")),
      ctlTimeout: rw(7, "CTLTm"),
    },
    `Link Error${suffix}`,
  );
const frequencyCapability = (at: number, suffix: string) =>
  r16(
    at,
    {
      mhz200: ro(0, "200MHz"),
      mhz300: ro(1, "300MHz"),
      mhz400: ro(2, "400MHz"),
      mhz500: ro(3, "500MHz"),
      mhz600: ro(4, "600MHz"),
      mhz800: ro(5, "800MHz"),
      mhz1000: ro(6, "1.0GHz"),
      mhz1200: ro(7, "1.2GHz"),
      mhz1400: ro(8, "1.4GHz"),
      mhz1600: ro(9, "1.6GHz"),
      vendor: ro(15, "Vend"),
    },
    `Link Frequency Capability${suffix}`,
  );
const features = {
  isochronousFlow: ro(0, "IsocFC"),
  ldtstop: ro(1, "LDTSTOP"),
  crcTestMode: ro(2, "CRCTM"),
  extendedCtlTime: ro(3, "ECTLT"),
  address64Bit: ro(4, "64bA"),
  unitIdReorderDisable: rw(5, "UIDRD"),
} as const;
const errorHandling = (at: number) =>
  r16(
    at,
    {
      protocolFlood: rw(0, "PFlE"),
      overflowFlood: rw(1, "OFlE"),
      protocolFatal: rw(2, "PFE"),
      overflowFatal: rw(3, "OFE"),
      endOfChainFatal: rw(4, "EOCFE"),
      responseFatal: rw(5, "RFE"),
      crcFatal: rw(6, "CRCFE"),
      systemFatal: rw(7, "SERRFE"),
      chainFail: volatile(rw1c(8, "CF")),
      responseError: volatile(rw1c(9, "RE")),
      protocolNonfatal: rw(10, "PNFE"),
      overflowNonfatal: rw(11, "ONFE"),
      endOfChainNonfatal: rw(12, "EOCNFE"),
      responseNonfatal: rw(13, "RNFE"),
      crcNonfatal: rw(14, "CRCNFE"),
      systemNonfatal: rw(15, "SERRNFE"),
    },
    "Error Handling",
  );
const upperMemory = (at: number) => ({
  memoryBaseUpper: hex(r8(at, "rw")),
  memoryLimitUpper: hex(r8(at + 1, "rw")),
});

/** Slave or primary interface block, 7.5. */
export const htPrimaryCapability = ownMap("HT primary", 28, () => ({
  ...standardHead,
  command: r16(
    0x02,
    {
      baseUnitId: rw(4, 0, "BaseUnitID"),
      unitCount: ro(9, 5, "UnitCnt"),
      masterHost: ro(10, "MastHost"),
      defaultDirection: rw(11, "DefDir"),
      dropOnUninitializedLink: rw(12, "DUL"),
      type: hex(ro(15, 13)),
    },
    "Command",
  ),
  linkControl0: linkControl(0x04, "Link Control 0"),
  linkConfig0: linkConfig(0x06, "Link Config 0"),
  linkControl1: linkControl(0x08, "Link Control 1"),
  linkConfig1: linkConfig(0x0a, "Link Config 1"),
  revision: revision(0x0c),
  linkError0: linkError(0x0d, " 0"),
  frequencyCapability0: frequencyCapability(0x0e, " 0"),
  features: r8(0x10, features, "Feature Capability"),
  linkError1: linkError(0x11, " 1"),
  frequencyCapability1: frequencyCapability(0x12, " 1"),
  scratchpad: hex(r16(0x14, "rw")),
  errorHandling: errorHandling(0x16),
  ...upperMemory(0x18),
  busNumber: hex(r8(0x1a, "rw", "Bus Number")),
}));

/** Host or secondary interface block, 7.6. */
export const htSecondaryCapability = ownMap("HT secondary", 24, () => ({
  ...standardHead,
  command: r16(
    0x02,
    {
      warmReset: rw(0, "WarmRst"),
      doubleEnded: rw(1, "DblEnd"),
      deviceNumber: rw(6, 2, "DevNum"),
      chainSide: ro(7, "ChainSide"),
      hostHide: rw(8, "HostHide"),
      actAsSlave: rw(10, "Slave"),
      endOfChainError: volatile(rw1c(11, "<EOCErr")),
      dropOnUninitializedLink: rw(12, "DUL"),
      type: hex(ro(15, 13)),
    },
    "Command",
  ),
  linkControl: linkControl(0x04, "Link Control"),
  linkConfig: linkConfig(0x06, "Link Config"),
  revision: revision(0x08),
  linkError: linkError(0x09, ""),
  frequencyCapability: frequencyCapability(0x0a, ""),
  features: r16(
    0x0c,
    { ...features, extendedRegisters: ro(8, "ExtRS"), upstreamConfiguration: rw(9, "UCnfE") },
    "Feature Capability",
  ),
  scratchpad: hex(r16(0x10, "rw")),
  errorHandling: errorHandling(0x12),
  ...upperMemory(0x14),
}));

/** MSI mapping with a programmable window, 7.12. */
const msiControl = r16(0x02, { enable: rw(0, "Enable"), fixed: ro(1, "Fixed"), type: hex(ro(15, 11)) });
export const htMsiMappingCapability = ownMap("HT MSI mapping", 12, () => ({
  ...standardHead,
  command: msiControl,
  /** Bits 31:20 of the window's base. */
  addressLow: r32(0x04, { base: hex(rw(31, 20)) }),
  addressHigh: hex(r32(0x08, "rw")),
  windowBase: joinedBig(["addressHigh", "addressLow.base"], {
    by: 0x10_0000,
    hex: true,
    label: "Mapping Address Base",
  }),
}));
/** The same with the window fixed at 0xfee00000. */
export const htFixedMsiMappingCapability = ownMap("HT MSI mapping", 4, () => ({
  ...standardHead,
  command: msiControl,
}));

// The other blocks with the one register that all have; what follows it is reached through an index.
const short = (name: string, command: Register = r16(0x02, { type: hex(ro(15, 11)) })) =>
  ownMap(name, 4, () => ({ ...standardHead, command }));
const others: Readonly<Record<number, RegisterBlock>> = {
  0x08: short("HT switch"),
  0x10: ownMap("HT interrupt", 8, () => ({
    ...standardHead,
    index: hex(r8(0x02, "rw")),
    type: r8(0x03, { type: hex(ro(7, 3)) }),
    data: volatile(hex(r32(0x04, "rw"))),
  })),
  0x11: short(
    "HT revision",
    r16(0x02, { minor: ro(4, 0), major: ro(7, 5), type: hex(ro(15, 11)) }, "Revision ID"),
  ),
};
const other = short("HT");

export const hypertransport = standardCapability(capabilityId.hypertransport, "HT", (config, at, limit) => {
  const command = limit >= 4 ? config.getUint16(at + 2, true) : 0xffff;
  if (command >> 13 === 0) return htPrimaryCapability;
  if (command >> 13 === 1) return htSecondaryCapability;
  const type = command >> 11;
  if (type === 0x15) return command & 2 ? htFixedMsiMappingCapability : htMsiMappingCapability;
  return others[type] ?? other;
});
