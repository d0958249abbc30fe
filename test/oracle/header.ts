// Compares the decoded type 0 or type 1 header with the lines that lspci prints before the capabilities.
import { decodeConfig, headerMapOf } from "../../src/regs/decode.ts";
import { layoutOf } from "../../src/regs/layout.ts";
import type { LspciDevice } from "../support/lspci.ts";
import { compareLines, type Read, type Rule } from "./compare.ts";
import { hexText } from "./standard-rules.ts";

const memoryTypes = ["32-bit", "low-1M", "64-bit", "type 3"];

function regionText(read: Read, index: number): string {
  const bar = read.number(`bar${index}`);
  if (bar & 1) {
    const address = bar - (bar & 3);
    const enabled = read("command", "ioSpace") === true;
    const place = address !== 0 || enabled ? hexText(address, 4) : "<unassigned>";
    return `I/O ports at ${place}${enabled ? "" : " [disabled]"}`;
  }
  const is64 = (bar & 6) === 4;
  // A 64-bit BAR in the last place has nowhere to keep its upper half: lspci takes it as empty.
  const broken = is64 && !read.has(`bar${index + 1}`);
  const upper = is64 && !broken ? read.number(`bar${index + 1}`) : 0;
  const address = broken ? 0n : BigInt(upper) * 0x1_0000_0000n + BigInt(bar - (bar & 15));
  const place = address === 0n ? "<unassigned>" : address.toString(16).padStart(8, "0");
  const kind = `${memoryTypes[(bar >> 1) & 3]}, ${bar & 8 ? "" : "non-"}prefetchable`;
  return `Memory at ${place} (${kind})${read("command", "memorySpace") ? "" : " [disabled]"}`;
}

const suffixes = ["", "K", "M", "G", "T"];
function windowText(base: bigint, limit: bigint, bits: number): string {
  const digits = bits / 4;
  const range = `${base.toString(16).padStart(digits, "0")}-${limit.toString(16).padStart(digits, "0")}`;
  if (base > limit) return `${range} [disabled] [${bits}-bit]`;
  let size = limit - base + 1n;
  let unit = 0;
  for (; unit < 4 && size % 1024n === 0n; unit++) size /= 1024n;
  return `${range} [size=${size & 0xffffffffn}${suffixes[unit]}] [${bits}-bit]`;
}
const wide = (read: Read, register: string, shift: bigint, upper?: string): bigint =>
  (BigInt(read.number(register, "address")) << shift) | (upper ? BigInt(read.number(upper)) : 0n);

function ioText(read: Read): string {
  const is32 = read("ioBase", "type") === "32-bit";
  const of = (name: string): bigint =>
    (is32 ? BigInt(read.number(`${name}Upper`)) << 16n : 0n) | wide(read, name, 12n);
  return windowText(of("ioBase"), of("ioLimit") + 0xfffn, is32 ? 32 : 16);
}
function prefetchableText(read: Read): string {
  const is64 = read("prefetchableBase", "type") === "64-bit";
  const of = (name: string): bigint =>
    (is64 ? BigInt(read.number(`${name}Upper`)) << 32n : 0n) | wide(read, name, 20n);
  return windowText(of("prefetchableBase"), of("prefetchableLimit") + 0xfffffn, is64 ? 64 : 32);
}

const rules: readonly Rule[] = [
  {
    line: "Subsystem",
    pattern: /^([0-9a-f]{4}):([0-9a-f]{4})$/,
    // A bridge names its subsystem in a capability: that one is compared there.
    says: (read, match) =>
      read.has("subsystemId")
        ? [hexText(read("subsystemVendorId"), 4), hexText(read("subsystemId"), 4)]
        : [match[1], match[2]],
  },
  {
    line: "Latency",
    pattern: /^(\d+)(?: \((?:(\d+)ns min)?(?:, )?(?:(\d+)ns max)?\))?(?:, Cache Line Size: (\d+) bytes)?$/,
    says: (read) => {
      const nanoseconds = (name: string): number | undefined =>
        read.has(name) && read.number(name) !== 0 ? read.number(name) * 250 : undefined;
      const line = read.number("cacheLineSize") * 4;
      return [read("latencyTimer"), nanoseconds("minGrant"), nanoseconds("maxLatency"), line || undefined];
    },
  },
  {
    line: "Interrupt",
    pattern: /^pin (.) routed to IRQ (\d+)$/,
    says: (read) => ["?ABCD"[read.number("interruptPin")], read("interruptLine")],
  },
  {
    line: /^Region \d$/,
    pattern: /^(.*)$/,
    says: (read, _, label) => [regionText(read, Number(label.slice(-1)))],
  },
  { line: "I/O behind bridge", pattern: /^(.*)$/, says: (read) => [ioText(read)] },
  {
    line: "Memory behind bridge",
    pattern: /^(.*)$/,
    says: (read) => [
      windowText(wide(read, "memoryBase", 20n), wide(read, "memoryLimit", 20n) + 0xfffffn, 32),
    ],
  },
  { line: "Prefetchable memory behind bridge", pattern: /^(.*)$/, says: (read) => [prefetchableText(read)] },
  {
    line: "",
    pattern: /^Expansion ROM at (\S+?)( \[disabled\]| \[disabled by cmd\])?$/,
    says: (read) => {
      const address = read.number("rom", "address") * 0x800;
      const decoded = read("command", "memorySpace") ? undefined : " [disabled by cmd]";
      return [
        address === 0 ? "<unassigned>" : hexText(address, 8),
        read("rom", "enable") ? decoded : " [disabled]",
      ];
    },
  },
  { line: "", pattern: /^BIST is (running)$/, says: (read) => [read("bist", "start") ? "running" : "idle"] },
  {
    line: "BIST result",
    pattern: /^([0-9a-f]{2})$/,
    says: (read) => [hexText(read("bist", "completionCode"), 2)],
  },
];

/** Compares the header of one device, its class and its IDs; the result names each difference. */
export function compareHeader(config: Uint8Array, device: LspciDevice): string[] {
  const { header } = decodeConfig(config);
  const { registers } = header;
  const map = headerMapOf(layoutOf(config));
  const byte = (name: string): string => hexText(Number(registers[name]), 2);
  const word = (name: string): string => hexText(Number(registers[name]), 4);
  const heading = `${byte("baseClass")}${byte("subclass")}: ${word("vendorId")}:${word("deviceId")}`;
  const revision = registers["revisionId"] === 0 ? "" : ` (rev ${byte("revisionId")})`;
  const interfaceText =
    registers["programmingInterface"] === 0 ? "" : ` (prog-if ${byte("programmingInterface")}`;
  const differences: string[] = [];
  const expected = `${heading}${revision}${interfaceText}`;
  if (!device.title.startsWith(expected))
    differences.push(`heading is ${expected}, lspci says ${device.title}`);
  // The upper half of a 64-bit BAR is no region, though lspci prints one where it is not zero.
  const isUpper = (label: string): boolean => {
    const index = Number(/^Region (\d)$/.exec(label)?.[1] ?? 0);
    for (let i = 0; i < index; i++)
      if ((Number(registers[`bar${i}`]) & 7) === 4) {
        i++;
        if (i === index) return true;
      }
    return false;
  };
  const lines = device.header.filter(({ label }) => !isUpper(label));
  differences.push(...compareLines({ map, registers, config: registers }, lines, rules));
  return differences.map((difference) => `${device.bdf}: ${difference}`);
}
