// What lspci composes of several fields, or prints with units, in the standard capabilities.
import type { DecodedValue } from "../../src/regs/decode.ts";
import type { CapabilityRules, Read } from "./compare.ts";
import { expressRules } from "./express-rules.ts";

export const sign = (value: DecodedValue): string => (value === true ? "+" : "-");
/** `digits` hexadecimal digits at least, as C's `%0Nx`. */
export const hexText = (value: DecodedValue, digits: number): string =>
  Number(value).toString(16).padStart(digits, "0");
/** Which value a name stands for where lspci prints by formula what the specification reserves. */
const powerOf2 = (value: DecodedValue): number => {
  const reserved = /^reserved\((\d+)\)$/.exec(String(value));
  return reserved ? 2 ** Number(reserved[1]) : Number(value);
};

const htTypes: Readonly<Record<number, string>> = {
  0x08: "Switch",
  0x10: "Interrupt Discovery and Configuration",
  0x12: "UnitID Clumping",
  0x13: "Extended Configuration Space Access",
  0x14: "Address Mapping",
  0x15: "MSI Mapping",
  0x16: "DirectRoute",
  0x17: "VCSet",
  0x18: "Retry Mode",
  0x19: "X86 (reserved)",
};
const revisionText = (read: Read, register: string): string =>
  `${String(read(register, "major"))}.${String(read(register, "minor")).padStart(2, "0")}`;
function htTitle(read: Read): string {
  if (read.has("linkControl0")) return "Slave or Primary Interface";
  if (read.has("linkControl")) return "Host or Secondary Interface";
  const type = read.number(read.has("command") ? "command" : "type", "type");
  if (type === 0x11) return `Revision ID: ${revisionText(read, "command")}`;
  return htTypes[type] ?? `#${hexText(type, 2)}`;
}

function sataLocation(read: Read): string {
  const bar = String(read("location", "bar"));
  const reserved = /^reserved\((\d+)\)$/.exec(bar);
  if (reserved) return `BAR??${reserved[1]}`;
  // lspci prints the offset as it counts: in DWORDs (Serial ATA AHCI 1.3.1, 2.4.3).
  return bar === "InCfgSpace" ? bar : `${bar} Offset=${hexText(read.number("location", "offset") / 4, 8)}`;
}

const virtioNames = new Set(["CommonCfg", "Notify", "ISR", "DeviceCfg"]);
function vendorTitle(read: Read): string {
  // 3.9 decodes nothing of Intel's.
  if (!read.has("type")) return `Len=${hexText(read("length"), 2)} <?>`;
  const name = String(read("type", "structure"));
  return `VirtIO: ${virtioNames.has(name) ? name : "<unknown>"}`;
}

const eaEntry = (label: string): string => `entry${label.slice("Entry ".length)}`;
const eaProperty = (read: Read, label: string, which: string): string => {
  const value = String(read(eaEntry(label), which));
  const reserved = /^reserved\((\d+)\)$/.exec(value);
  if (reserved) return `[${hexText(Number(reserved[1]), 2)}]`;
  const primary = which === "secondaryProperties" && value === "entry unavailable for use";
  return primary ? `${value}, PrimaryProperties should be used` : value;
};
const eaAddress = (read: Read, label: string, which: string, low: number): string => {
  const name = `${eaEntry(label)}${which}`;
  const upper = read(name, "wide") === true ? read.number(`${name}Upper`).toString(16) : "";
  return upper + hexText(read.number(name, "address") + low, 8);
};

export const standardRules: Readonly<Record<string, CapabilityRules>> = {
  Null: { title: /^Null$/ },
  PM: {
    title: /^Power Management version (\d+)$/,
    says: (read) => [read("capabilities", "version")],
    rules: [
      { line: "Flags", pattern: /AuxCurrent=(\d+)mA/, says: (read) => [read("capabilities", "auxCurrent")] },
      {
        line: "Flags",
        pattern: /PME\(D0([+-]),D1([+-]),D2([+-]),D3hot([+-]),D3cold([+-])\)/,
        says: (read) =>
          ["pmeD0", "pmeD1", "pmeD2", "pmeD3hot", "pmeD3cold"].map((name) =>
            sign(read("capabilities", name)),
          ),
      },
      { line: "Status", pattern: /^(D\d)/, says: (read) => [read("control", "powerState")] },
      { line: "Bridge", pattern: /B3([+-])/, says: (read) => [sign(!read("bridge", "b2OnD3hot"))] },
    ],
  },
  AGP: {
    title: /^AGP version ([0-9a-f]+)\.([0-9a-f]+)$/,
    says: (read) => [hexText(read("revision", "major"), 1), hexText(read("revision", "minor"), 1)],
    rules: ["Status", "Command"].flatMap((line) => [
      { line, pattern: /RQ=(\d+)/, says: (read: Read) => [read(line.toLowerCase(), "requests")] },
      { line, pattern: /Rate=(\S+)/, says: (read: Read) => [read(line.toLowerCase(), "rate")] },
      { line, pattern: /ArqSz=(\d+)/, says: (read: Read) => [read(line.toLowerCase(), "requestSize")] },
    ]),
  },
  AGP3: { title: /^AGP3 <\?>$/ },
  // Its data lie behind the registers, out of an image's reach.
  VPD: { title: /^Vital Product Data$/, rules: [{ pattern: /^Not readable$/ }] },
  SlotID: {
    title: /^Slot ID: (\d+) slots, First([+-]), chassis ([0-9a-f]{2})$/,
    says: (read) => [
      read("expansionSlot", "slots"),
      sign(read("expansionSlot", "firstInChassis")),
      hexText(read("chassis"), 2),
    ],
  },
  MSI: {
    title: /^MSI:/,
    rules: [
      {
        pattern: /Count=(\d+)\/(\d+)/,
        says: (read) => [
          powerOf2(read("control", "multipleMessageEnable")),
          powerOf2(read("control", "multipleMessageCapable")),
        ],
      },
      {
        line: "Address",
        pattern: /^([0-9a-f]{8})?([0-9a-f]{8})\s+Data: ([0-9a-f]{4})$/,
        says: (read) => [
          read.has("upperAddress") ? hexText(read("upperAddress"), 8) : undefined,
          hexText(read("address"), 8),
          hexText(read("data"), 4),
        ],
      },
      {
        line: "Masking",
        pattern: /^([0-9a-f]{8})\s+Pending: ([0-9a-f]{8})$/,
        says: (read) => [hexText(read("mask"), 8), hexText(read("pending"), 8)],
      },
    ],
  },
  "PCI-X": {
    title: /^PCI-X (non-bridge|bridge) device$/,
    says: (read) => [read.has("secondaryStatus") ? "bridge" : "non-bridge"],
    rules: [
      {
        line: "Status",
        pattern: /Dev=([0-9a-f]{2}):([0-9a-f]{2})\.(\d)/,
        says: (read) => [
          hexText(read("status", "busNumber"), 2),
          hexText(read("status", "deviceNumber"), 2),
          read("status", "functionNumber"),
        ],
      },
    ],
  },
  HT: {
    title: /^HyperTransport: (.*?)(?=(?: Enable[+-] Fixed[+-])?$)/,
    says: (read) => [htTitle(read)],
    rules: [
      { line: "", pattern: /^!!! Possibly incomplete decoding$/ },
      // lspci keeps this register in 8 bits and never prints a flag of its upper half as set.
      { line: /^Link Frequency Capability/, pattern: / 1\.4GHz- 1\.6GHz- Vend-$/ },
      { line: "Revision ID", pattern: /^(\d+\.\d\d)$/, says: (read) => [revisionText(read, "revision")] },
      {
        line: /^Link Frequency( [01])?$/,
        pattern: /^(\S+)$/,
        says: (read, _, label) => [read(`linkError${/\d?$/.exec(label)![0]}`, "frequency")],
      },
      {
        line: "Prefetchable memory behind bridge Upper",
        pattern: /^([0-9a-f]{2})-([0-9a-f]{2})$/,
        says: (read) => [hexText(read("memoryBaseUpper"), 2), hexText(read("memoryLimitUpper"), 2)],
      },
      {
        line: "Mapping Address Base",
        pattern: /^([0-9a-f]{8})([0-9a-f]{8})$/,
        says: (read) => [read.text("windowBase")?.slice(0, 8), read.text("windowBase")?.slice(8)],
      },
    ],
  },
  Vendor: {
    title: /^Vendor Specific Information: (.*)$/,
    says: (read) => [vendorTitle(read)],
  },
  Debug: {
    title: /^Debug port: BAR=(\d) offset=([0-9a-f]{4})$/,
    says: (read) => [read("debugPort", "bar"), hexText(read("debugPort", "offset"), 4)],
  },
  HotPlug: { title: /^Hot-plug capable$/ },
  SSVID: {
    title: /^Subsystem: ([0-9a-f]{4}):([0-9a-f]{4})$/,
    says: (read) => [hexText(read("subsystemVendorId"), 4), hexText(read("subsystemId"), 4)],
  },
  PCIe: expressRules,
  "MSI-X": {
    title: /^MSI-X:/,
    rules: [
      { pattern: /Count=(\d+)/, says: (read) => [read.text("vectors")] },
      ...["table", "pba"].map((register) => ({
        line: register === "pba" ? "PBA" : "Vector table",
        pattern: /offset=([0-9a-f]{8})/,
        says: (read: Read) => [hexText(read.number(register, "offset"), 8)],
      })),
    ],
  },
  SATA: {
    title: /^SATA HBA v(\d+)\.(\d+) (.*)$/,
    says: (read) => [read("revision", "major"), read("revision", "minor"), sataLocation(read)],
  },
  AF: { title: /^PCI Advanced Features$/ },
  EA: {
    title: /^Enhanced Allocation \(EA\): NumEntries=(\d+)(?:, secondary=(\d+), subordinate=(\d+))?$/,
    says: (read) => [
      read("entries", "count"),
      ...["fixedSecondaryBus", "fixedSubordinateBus"].map((name) =>
        read.has(name) ? read(name) : undefined,
      ),
    ],
    rules: [
      ...["primaryProperties", "secondaryProperties"].map((which) => ({
        line: /^Entry \d+$/,
        pattern:
          which === "primaryProperties" ? /^PrimaryProperties: (.*)$/m : /^SecondaryProperties: (.*)$/m,
        says: (read: Read, _: RegExpExecArray, label: string) => [eaProperty(read, label, which)],
      })),
      {
        line: /^Entry \d+$/,
        pattern: /^Base: ([0-9a-f]+)\nMaxOffset: ([0-9a-f]+)$/m,
        says: (read, _, label) => [
          eaAddress(read, label, "Base", 0),
          // The two low bits of the limit are ones.
          eaAddress(read, label, "MaxOffset", 3),
        ],
      },
    ],
  },
  HotSwap: { title: /^CompactPCI hot-swap <\?>$/ },
  CentralResource: { title: /^CompactPCI central resource control <\?>$/ },
  SecureDevice: { title: /^Secure device <\?>$/ },
  FPB: { title: /^Capability ID 0x15 \[[0-9a-f]{4}\]$/ },
  unknown: { title: /^(?:Capability ID 0x[0-9a-f]+ \[[0-9a-f]{4}\]|.* <\?>)$/ },
};
