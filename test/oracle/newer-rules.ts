// What lspci 3.13 writes otherwise than 3.9. Where it is wrong the rule says what it looks at, and the source of what is right.
import type { CapabilityRules, Read, Rule } from "./compare.ts";
import { supportedSpeeds } from "./express-rules.ts";
import { extendedRules } from "./extended-rules.ts";
import { ideRules } from "./ide-rules.ts";
import { sign } from "./lspci-forms.ts";
import { standardRules } from "./standard-rules.ts";

/** A number that 3.9 left to a field's label. */
const interrupt = (line: string, register: string, field: string): Rule => ({
  line,
  pattern: /IntMsgNum (\d+)/,
  says: (read) => [read(register, field)],
});

const express = standardRules["PCIe"]!;
export const newerStandardRules: Readonly<Record<string, CapabilityRules>> = {
  ...standardRules,
  PCIe: {
    ...express,
    title: /^Express \(v(\d+)\) (.*), IntMsgNum (\d+)$/,
    says(read, match, label) {
      const [version, type] = express.says!(read, match, label);
      return [version, type, read("flags", "interruptMessage")];
    },
    rules: [
      {
        line: "LnkCtl",
        pattern: / LnkDisable([+-])/,
        says: (read) => [sign(read("linkControl", "disable"))],
      },
      {
        line: "LnkCap2",
        pattern: /Supported Link Speeds: (\S+),/,
        says: (read) => [supportedSpeeds(read("linkCapabilities2", "supportedSpeeds"), 6)],
      },
      ...express.rules!,
    ],
  },
};

const with3 = (name: string, rules: readonly Rule[], title?: RegExp): CapabilityRules => {
  const before = extendedRules[name]!;
  return { ...before, ...(title && { title }), rules: [...rules, ...(before.rules ?? [])] };
};

const flag = (line: string, label: string, says: (read: Read) => boolean): Rule => ({
  line,
  pattern: new RegExp(`${label}([+-])`),
  says: (read) => [sign(says(read))],
});
const isSet = (read: Read, register: string, ...fields: readonly string[]): boolean =>
  fields.some((field) => read(register, field) === true);

const dvsec: readonly Rule[] = [
  {
    line: "",
    pattern:
      /^(?:PCIe DVSEC for CXL Devices|Non-CXL Function Map DVSEC|CXL Extensions DVSEC for Ports|GPF DVSEC for CXL (?:Ports|Devices)|PCIe DVSEC for Flex Bus Port|Register Locator DVSEC|MLD DVSEC|PCIe DVSEC for Test Capability <\?>)$/,
  },
  { line: "", pattern: /^<Wrong length for Revision \d+>$/ },
  { line: "", pattern: /^<\?>$/ },
  ...[1, 2].map((n): Rule => ({
    line: `Range${n}`,
    pattern: / \[size=0x([0-9a-f]+)\]/,
    says: (read) => {
      const low = BigInt(read.number(`range${n}SizeLow`, "size"));
      return [((BigInt(read.number(`range${n}SizeHigh`)) << 32n) | low).toString(16)];
    },
  })),
  flag("CXLCap", "MemHWInit", (read) => isSet(read, "capability", "memHwInit")),
  {
    line: "CXLCtl",
    pattern: /CacheSFCov (\d+) CacheSFGran (\d+) CacheClean([+-])/,
    says: (read) => [
      read("control", "snoopFilterCoverage"),
      read("control", "snoopFilterGranularity"),
      sign(read("control", "cleanEviction")),
    ],
  },
  // Numbers of bits for masks of bits (CXL Specification 3.1, 8.1.3.7 and 8.1.3.11): 3 and 5 look at two others each.
  flag("CXLCtl2", "InitRst", (read) => isSet(read, "control2", "disableCaching", "writebackInvalidate")),
  flag("CXLCtl2", "RstMemClrEn", (read) => isSet(read, "control2", "initiateReset")),
  flag("CXLCtl2", "DesiredVolatileHDMStateAfterHotReset", (read) =>
    isSet(read, "control2", "disableCaching", "initiateReset"),
  ),
  { line: "CXLCap3", pattern: /DefaultVolatile HDM State After:\s*/ },
  flag("CXLCap3", "HotResetConfigurability", (read) => isSet(read, "capability3", "hotResetHdmState")),
  flag("CXLCap3", " HotReset", (read) =>
    isSet(read, "capability3", "coldResetHdmState", "warmResetHdmState"),
  ),
  {
    line: "CXLCap2",
    pattern: /^Cache Size: ([0-9a-f]{8})$/,
    says: (read) => {
      const unit = { "64K": 65536, "1M": 1048576 }[String(read("capability2", "cacheSizeUnit"))];
      const bytes = read.number("capability2", "cacheSize") * (unit ?? Number.NaN);
      return [bytes.toString(16).padStart(8, "0")];
    },
  },
  {
    line: "CXLCap2",
    pattern: /^Cache Size (Not Reported)$/,
    says: (read) => [read("capability2", "cacheSizeUnit") === "not reported" && "Not Reported"],
  },
  {
    line: "CXLCap2",
    pattern: /^Cache Size: (\d+) of unknown unit size \((\d+)\)$/,
    says: (read) => [
      read("capability2", "cacheSize"),
      /^reserved\((\d+)\)$/.exec(String(read("capability2", "cacheSizeUnit")))?.[1],
    ],
  },
];

export const newerExtendedRules: Readonly<Record<string, CapabilityRules>> = {
  ...extendedRules,
  AER: with3("AER", [interrupt("RootSta", "rootStatus", "interruptMessage")]),
  DPC: with3("DPC", [interrupt("DpcCap", "capability", "interruptMessage")]),
  "SR-IOV": with3("SR-IOV", [interrupt("IOVCap", "capabilities", "interruptMessage")]),
  DOE: {
    title: extendedRules["DOE"]!.title,
    rules: [interrupt("DOECap", "capabilities", "interruptMessage")],
  },
  DVSEC: with3("DVSEC", dvsec),
  LaneMargining: with3(
    "LaneMargining",
    [flag("PortCap", "Uses Driver", (read) => isSet(read, "portCapabilities", "usesDriver"))],
    /^Lane Margining at the Receiver$/,
  ),
  PL32: with3("PL32", [], /^Physical Layer 32\.0 GT\/s <\?>$/),
  IDE: { title: /^Integrity & Data Encryption$/, rules: ideRules },
};
