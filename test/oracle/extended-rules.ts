// How lspci writes what it composes of several fields of an extended capability, or with a unit.
import { multicastRules, resizableBarRules, srIovRules } from "./address-rules.ts";
import type { CapabilityRules, Rule } from "./compare.ts";
import { cxlRules } from "./cxl-rules.ts";
import { hexOf, sign, times, u64 } from "./lspci-forms.ts";
import { eventCollectorRules, rootComplexLinkRules, virtualChannelRules } from "./topology-rules.ts";

const aer: readonly Rule[] = [
  {
    line: "HeaderLog",
    pattern: /^(\S{8}) (\S{8}) (\S{8}) (\S{8})$/,
    says: (read) => times(4, (i) => hexOf(read.number(`headerLog${i}`), 8)),
  },
  {
    line: "ErrorSrc",
    pattern: /^ERR_COR: (\S{4}) ERR_FATAL\/NONFATAL: (\S{4})$/,
    says: (read) => [
      hexOf(read.number("errorSource", "correctable"), 4),
      hexOf(read.number("errorSource", "uncorrectable"), 4),
    ],
  },
];

const pri: readonly Rule[] = [
  {
    line: "Page Request Capacity",
    pattern: /, Page Request Allocation: (\S{8})$/,
    says: (read) => [hexOf(read.number("outstandingAllocation"), 8)],
  },
];

const tph: readonly Rule[] = [
  {
    line: "",
    pattern: /^(Interrupt vector) mode supported$/,
    says: (read) => [read("capability", "interruptVectorMode") === true && "Interrupt vector"],
  },
  {
    line: "",
    pattern: /^(Device specific) mode supported$/,
    says: (read) => [read("capability", "deviceSpecificMode") === true && "Device specific"],
  },
  {
    line: "",
    pattern: /^(Extended requester) support$/,
    says: (read) => [read("capability", "extendedRequester") === true && "Extended requester"],
  },
  {
    line: "",
    pattern:
      /^(No steering table available|Steering table in TPH capability structure|Steering table in MSI-X table|Reserved steering table location)$/,
    says: (read) => {
      const location = String(read("capability", "tableLocation"));
      if (location === "none") return ["No steering table available"];
      if (location === "capability") return ["Steering table in TPH capability structure"];
      return [
        location === "MSI-X table" ? "Steering table in MSI-X table" : "Reserved steering table location",
      ];
    },
  },
];

const latency = (line: string, name: string): Rule => ({
  line,
  pattern: /^(\d+ns)$/,
  says: (read) => [read.text(name)],
});

// lspci reads 16 of the 32 lanes.
const secondaryPcie: readonly Rule[] = [
  {
    line: "LaneErrStat",
    pattern: /^LaneErr at lane: ([\d ]+)$/,
    says: (read) => {
      const lanes = read.number("laneErrorStatus");
      return [
        times(16, (i) => i)
          .filter((i) => (lanes >>> i) & 1)
          .join(" "),
      ];
    },
  },
  {
    line: "LaneErrStat",
    pattern: /^(0)$/,
    says: (read) => [read.number("laneErrorStatus") % 0x1_0000],
  },
];

const dpc: readonly Rule[] = [
  // lspci knows four of the five bits (PCI Express Base Specification 6.0, 7.9.14.2).
  {
    line: "DpcCap",
    pattern: /RP PIO Log (\d+)/,
    says: (read) => [Number(read.text("logSize")) & 0xf],
  },
  {
    line: "DpcSta",
    pattern: /TriggerExt:(\S\S) RP PIO ErrPtr:(\S\S)/,
    says: (read) => [
      hexOf(read.number("status", "reasonExtension"), 2),
      hexOf(read.number("status", "firstErrorPointer"), 2),
    ],
  },
];

const orError = (text: string | undefined): string => text ?? "<error>";
const l1Substates: readonly Rule[] = [
  {
    line: "L1SubCap",
    pattern: /PortCommonModeRestoreTime=(\d+)us PortTPowerOnTime=(\S+)/,
    says: (read) => [read("capabilities", "commonModeRestoreTime"), orError(read.text("portPowerOnTime"))],
  },
  {
    line: "L1SubCtl1",
    pattern: /T_CommonMode=(\d+)us/,
    says: (read) => [read("control1", "commonModeRestoreTime")],
  },
  {
    line: "L1SubCtl1",
    pattern: /LTR1\.2_Threshold=(\S+)/,
    says: (read) => [orError(read.text("ltrThreshold"))],
  },
  { line: "L1SubCtl2", pattern: /T_PwrOn=(\S+)/, says: (read) => [orError(read.text("powerOnTime"))] },
];

const granularity = (value: number, zero: string): string =>
  value === 0 ? zero : value === 255 ? "Greater than 254ns" : `${value}ns`;
const ptm: readonly Rule[] = [
  {
    line: "PTMCap",
    pattern: /^Requester:([+-]) Responder:([+-]) Root:([+-])$/,
    says: (read) => ["requester", "responder", "root"].map((field) => sign(read("capability", field))),
  },
  {
    line: "PTMClockGranularity",
    pattern: /^(.+)$/,
    says: (read) => [granularity(read.number("capability", "clockGranularity"), "Unimplemented")],
  },
  {
    line: "PTMControl",
    pattern: /^Enabled:([+-]) RootSelected:([+-])$/,
    says: (read) => ["enable", "rootSelect"].map((field) => sign(read("control", field))),
  },
  {
    line: "PTMEffectiveGranularity",
    pattern: /^(.+)$/,
    says: (read) => [granularity(read.number("control", "effectiveGranularity"), "Unknown")],
  },
];

const doe: readonly Rule[] = [
  // lspci 3.9 takes bits 1:0 for the error bit, which is bit 2.
  {
    line: "DOESta",
    pattern: / Error([+-])/,
    says: (read) => [sign(read("status", "busy") === true || read("status", "interruptStatus") === true)],
  },
];

const vendorSpecific: CapabilityRules = {
  title: /^Vendor Specific Information: ID=(\S{4}) Rev=(\d+) Len=(\S{3}) <\?>$/,
  says: (read) => [
    hexOf(read.number("vendorHeader", "vsecId"), 4),
    read("vendorHeader", "revision"),
    hexOf(read.number("vendorHeader", "length"), 3),
  ],
};
const designatedVendorSpecific: CapabilityRules = {
  title: /^Designated Vendor-Specific: Vendor=(\S{4}) ID=(\S{4}) Rev=(\d+) Len=(\d+)(?: <\?>|: CXL)$/,
  says: (read) => [
    hexOf(read.number("header1", "vendorId"), 4),
    hexOf(read.number("dvsecId"), 4),
    read("header1", "revision"),
    read("header1", "length"),
  ],
  rules: cxlRules,
};

const titled = (title: string, rules: readonly Rule[] = []): CapabilityRules => ({
  title: new RegExp(`^${title.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}$`),
  rules,
});

/** For each extended capability that has a map, and for those that have none. */
export const extendedRules: Readonly<Record<string, CapabilityRules>> = {
  Null: titled("Null"),
  AER: titled("Advanced Error Reporting", aer),
  VC: titled("Virtual Channel", virtualChannelRules),
  VC9: titled("Virtual Channel", virtualChannelRules),
  DSN: {
    title: /^Device Serial Number (\S+)$/,
    says: (read) => [u64(read, "serialNumber").toString(16).padStart(16, "0").match(/../g)!.join("-")],
  },
  PowerBudgeting: titled("Power Budgeting <?>"),
  RCLink: titled("Root Complex Link", rootComplexLinkRules),
  RCInternalLink: titled("Root Complex Internal Link <?>"),
  RCEC: titled("Root Complex Event Collector Endpoint Association", eventCollectorRules),
  MFVC: titled("Multi-Function Virtual Channel <?>"),
  RCRB: titled("Root Complex Register Block <?>"),
  VSEC: vendorSpecific,
  CAC: titled("Extended Capability ID 0xc"),
  ACS: titled("Access Control Services"),
  ARI: titled("Alternative Routing-ID Interpretation (ARI)"),
  ATS: titled("Address Translation Service (ATS)"),
  "SR-IOV": titled("Single Root I/O Virtualization (SR-IOV)", srIovRules),
  "MR-IOV": titled("Multi-Root I/O Virtualization <?>"),
  Multicast: titled("Multicast", multicastRules),
  PRI: titled("Page Request Interface (PRI)", pri),
  ReBAR: titled("Physical Resizable BAR", resizableBarRules),
  "VF ReBAR": titled("Virtual Resizable BAR", resizableBarRules),
  DPA: titled("Dynamic Power Allocation <?>"),
  TPH: titled("Transaction Processing Hints", tph),
  LTR: titled("Latency Tolerance Reporting", [
    latency("Max snoop latency", "maxSnoop"),
    latency("Max no snoop latency", "maxNoSnoop"),
  ]),
  SecondaryPCIe: titled("Secondary PCI Express", secondaryPcie),
  PMUX: titled("Protocol Multiplexing <?>"),
  PASID: titled("Process Address Space ID (PASID)"),
  LNR: titled("LN Requester <?>"),
  DPC: titled("Downstream Port Containment", dpc),
  L1SS: titled("L1 PM Substates", l1Substates),
  PTM: titled("Precision Time Measurement", ptm),
  "M-PCIe": titled("PCI Express over M_PHY <?>"),
  FRSQueueing: titled("FRS Queueing <?>"),
  RTR: titled("Readiness Time Reporting <?>"),
  DVSEC: designatedVendorSpecific,
  DLF: titled("Data Link Feature <?>"),
  PL16: titled("Physical Layer 16.0 GT/s <?>"),
  LaneMargining: titled("Lane Margining at the Receiver <?>"),
  HierarchyID: titled("Hierarchy ID <?>"),
  NPEM: titled("Native PCIe Enclosure Management <?>"),
  PL32: titled("Extended Capability ID 0x2a"),
  AlternateProtocol: titled("Extended Capability ID 0x2b"),
  SFI: titled("Extended Capability ID 0x2c"),
  DOE: titled("Data Object Exchange", doe),
  IDE: titled("Extended Capability ID 0x30"),
  PL64: titled("Extended Capability ID 0x31"),
  ShadowFunctions: titled("Extended Capability ID 0x2d"),
  Device3: titled("Extended Capability ID 0x2f"),
  FlitLogging: titled("Extended Capability ID 0x32"),
  FlitPerformance: titled("Extended Capability ID 0x33"),
  FlitErrorInjection: titled("Extended Capability ID 0x34"),
  SVC: titled("Extended Capability ID 0x35"),
  RegisterBlocks: titled("Extended Capability ID 0x36"),
  NOPFlit: titled("Extended Capability ID 0x37"),
  SIOV: titled("Extended Capability ID 0x38"),
};
