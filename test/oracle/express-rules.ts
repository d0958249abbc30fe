// What lspci composes of several fields, or prints with units, in the PCI Express capability.
import type { DecodedValue } from "../../src/regs/decode.ts";
import type { CapabilityRules, Read } from "./compare.ts";

const reservedBits = (value: DecodedValue): number | undefined => {
  const match = /^reserved\((\d+)\)$/.exec(String(value));
  return match ? Number(match[1]) : undefined;
};
/** lspci prints by formula the two sizes that the specification reserves. */
const payload = (value: DecodedValue): number => {
  const bits = reservedBits(value);
  return bits === undefined ? Number(value) : 128 * 2 ** bits;
};

function title(read: Read): string {
  const type = read("flags", "portType");
  const unnamed = reservedBits(type);
  if (unnamed !== undefined) return `Unknown type ${unnamed}`;
  const slotted = ["Root Port", "Downstream Port", "PCI/PCI-X to PCI-Express Bridge"].includes(String(type));
  return slotted ? `${type} (Slot${read("flags", "slotImplemented") ? "+" : "-"})` : String(type);
}

function exitLatency(read: Read): string {
  const aspm = String(read("linkCapabilities", "aspm"));
  const each = [
    aspm.includes("L0s") ? `L0s ${read("linkCapabilities", "l0sExitLatency")}` : undefined,
    aspm.includes("L1") ? `L1 ${read("linkCapabilities", "l1ExitLatency")}` : undefined,
  ];
  return each.filter((one) => one !== undefined).join(", ");
}

const speedBits = ["unknown", "2.5GT/s", "5GT/s", "8GT/s", "16GT/s", "32GT/s", "64GT/s"];
const speedNumber = (value: DecodedValue): number => reservedBits(value) ?? speedBits.indexOf(String(value));
const speedText = (value: DecodedValue): string =>
  reservedBits(value) === undefined ? String(value) : "unknown";
function judged(read: Read, status: number, capability: number): string | undefined {
  if (status > capability) return " (overdriven)";
  const downstream = ["Root Port", "Downstream Port", "PCI/PCI-X to PCI-Express Bridge"];
  if (status === capability || downstream.includes(String(read("flags", "portType")))) return undefined;
  return " (downgraded)";
}

const rates = ["2.5", "5", "8", "16", "32", "64"];
/** The bits of `2.5-8GT/s 32GT/s`. */
const vectorOf = (text: string): number =>
  text === "none"
    ? 0
    : text.split(" ").reduce((bits, run) => {
        const [first, last = first] = run
          .replace("GT/s", "")
          .split("-")
          .map((rate) => rates.indexOf(rate));
        for (let at = first!; at <= last!; at++) bits |= 1 << at;
        return bits;
      }, 0);
// lspci goes by the highest bit: it takes a device at its word that the lower speeds are there.
/** @param known the bits that an lspci has names for: 5, or 6 */
export function supportedSpeeds(value: DecodedValue, known: 5 | 6): string {
  const bits = reservedBits(value) ?? vectorOf(String(value));
  if (bits >>> known !== 0) return "RsvdP";
  if (bits === 0) return "Unknown";
  return ["2.5GT/s", "2.5-5GT/s", "2.5-8GT/s", "2.5-16GT/s", "2.5-32GT/s", "2.5-64GT/s"][
    31 - Math.clz32(bits)
  ]!;
}

const lowMargin = "200-400mV(full-swing)/100-200mV(half-swing)";
const margins = [
  "Normal Operating Range",
  "800-1200mV(full-swing)/400-700mV(half-swing)",
  lowMargin,
  lowMargin,
  lowMargin,
  lowMargin,
];

export const expressRules: CapabilityRules = {
  title: /^Express \(v(\d+)\) (.*), MSI ([0-9a-f]{2})$/,
  says: (read) => [
    read("flags", "version"),
    title(read),
    read.number("flags", "interruptMessage").toString(16).padStart(2, "0"),
  ],
  rules: [
    {
      line: "DevCap",
      pattern: /MaxPayload (\d+) bytes/,
      says: (read) => [payload(read("deviceCapabilities", "maxPayload"))],
    },
    {
      line: "DevCap",
      pattern: /Latency L0s (\S+), L1 (\S+)/,
      says: (read) => [read("deviceCapabilities", "l0sLatency"), read("deviceCapabilities", "l1Latency")],
    },
    {
      line: "DevCap",
      pattern: /SlotPowerLimit (\S+)/,
      says: (read) => [read.text("slotPower")],
    },
    {
      line: "DevCtl",
      pattern: /MaxPayload (\d+) bytes, MaxReadReq (\d+) bytes/,
      says: (read) => [
        payload(read("deviceControl", "maxPayload")),
        payload(read("deviceControl", "maxReadRequest")),
      ],
    },
    {
      line: "LnkCap",
      pattern: /, Exit Latency (.*)$/m,
      says: (read) => [exitLatency(read)],
    },
    { line: "LnkCap", pattern: /Width x(\d+)/, says: (read) => [read("linkCapabilities", "maxWidth")] },
    {
      line: "LnkCtl",
      pattern: /RCB (\d+) bytes/,
      says: (read) => [read("linkControl", "readCompletionBoundary")],
    },
    {
      line: "LnkSta",
      pattern: /^Speed (\S+)( \(\w+\))?, Width x(\d+)( \(\w+\))?$/m,
      says: (read) => {
        const speed = read("linkStatus", "speed");
        const width = read.number("linkStatus", "width");
        return [
          speedText(speed),
          judged(read, speedNumber(speed), speedNumber(read("linkCapabilities", "maxSpeed"))),
          width,
          judged(read, width, read.number("linkCapabilities", "maxWidth")),
        ];
      },
    },
    {
      line: "SltCap",
      pattern: /PowerLimit (\S+);/,
      says: (read) => [read.text("slotPowerLimit")],
    },
    {
      line: "LnkCap2",
      pattern: /Supported Link Speeds: (\S+),/,
      says: (read) => [supportedSpeeds(read("linkCapabilities2", "supportedSpeeds"), 5)],
    },
    {
      line: "LnkCtl2",
      pattern: /Target Link Speed: (\S+),/,
      says: (read) => {
        const speed = read("linkControl2", "targetSpeed");
        const bits = reservedBits(speed);
        return [bits === undefined ? speed : "Unknown"];
      },
    },
    {
      line: "LnkCtl2",
      pattern: /Transmit Margin: ([^,]*),/,
      says: (read) => [margins[read.number("linkControl2", "transmitMargin")] ?? "Unknown"],
    },
    {
      line: "LnkCtl2",
      pattern: /Compliance Preset\/De-emphasis: (.*)$/m,
      says: (read) => {
        const preset = read("linkControl2", "compliancePreset");
        // Its table ends before P10 (PCI Express Base Specification 4.2.4.2).
        return [reservedBits(preset) === undefined && preset !== "P10" ? preset : "Unknown"];
      },
    },
  ],
};
