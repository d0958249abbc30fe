// Compares the decoded type 0 or type 1 header with the lines that lspci prints before the capabilities.
import { decodeConfig, headerMapOf } from "../../src/regs/decode.ts";
import { layoutOf } from "../../src/regs/layout.ts";
import type { LspciDevice } from "../support/lspci.ts";
import { compareLines, textsOf, type Read, type Rule } from "./compare.ts";
import { hexText } from "./standard-rules.ts";

/** The product's own words, and what lspci says of decode being off. */
function regionText(read: Read, index: number): string | undefined {
  const text = read.text(`region${index}`);
  if (text === undefined) return undefined;
  const decodes = read("command", text.startsWith("Memory") ? "memorySpace" : "ioSpace") === true;
  // lspci takes an address of 0 as one where I/O decode is on.
  const placed = decodes ? text.replace("I/O ports at <unassigned>", "I/O ports at 0000") : text;
  return `${placed}${decodes ? "" : " [disabled]"}`;
}

/** A window of a CardBus bridge: lspci writes neither its size nor its width. */
const cardbusWindow = (kind: "memory" | "io", index: number): Rule => ({
  line: `${kind === "io" ? "I/O" : "Memory"} window ${index}`,
  pattern: /^(\S+)( \[disabled\])?( \(prefetchable\))?$/,
  says: (read) => [
    read.text(`${kind}Window${index}`)?.split(" ")[0],
    read("command", kind === "io" ? "ioSpace" : "memorySpace") === true ? undefined : " [disabled]",
    kind === "memory" && read("bridgeControl", `prefetchMemory${index}`) === true
      ? " (prefetchable)"
      : undefined,
  ],
});

const rules: readonly Rule[] = [
  ...[0, 1].flatMap((index) => [cardbusWindow("memory", index), cardbusWindow("io", index)]),
  {
    line: "",
    pattern: /^16-bit legacy interface ports at ([0-9a-f]{4})$/,
    says: (read) => [hexText(read.number("legacyBase") & 0xffff, 4)],
  },
  {
    line: "Secondary status",
    pattern: /^(SERR)$/,
    says: (read) => [read("secondaryStatus", "receivedSystemError") === true && "SERR"],
  },
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
  { line: "I/O behind bridge", pattern: /^(.*)$/, says: (read) => [read.text("ioWindow")] },
  { line: "Memory behind bridge", pattern: /^(.*)$/, says: (read) => [read.text("memoryWindow")] },
  {
    line: "Prefetchable memory behind bridge",
    pattern: /^(.*)$/,
    // lspci prints the low 32 bits of a size (common.c: its number is unsigned int).
    says: (read) => [
      read
        .text("prefetchableWindow")
        ?.replace(/size=(\d+)/, (_, size: string) => `size=${BigInt(size) & 0xffff_ffffn}`),
    ],
  },
  {
    line: "",
    pattern: /^Expansion ROM at (\S+?)( \[disabled\]| \[disabled by cmd\])?$/,
    says: (read) => {
      const address = read.number("rom", "address");
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
  differences.push(
    ...compareLines({ map, registers, texts: textsOf(map, config, 0), config: registers }, lines, rules),
  );
  return differences.map((difference) => `${device.bdf}: ${difference}`);
}
