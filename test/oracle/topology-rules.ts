// How lspci writes virtual channels and what a root complex says of itself.
import type { Rule } from "./compare.ts";
import { hexOf, tableName, times, u64 } from "./lspci-forms.ts";

/** Where a Virtual Channel capability has to lie for its rules to hold. */
export const virtualChannelAt = 0x100;

/** lspci prints a reserved arbitration bit where it is set; no field may name such a bit. */
const reservedArbitration = (line: string): Rule[] => times(4, () => ({ line, pattern: /\s\?\?[4-7]\+/ }));
export const virtualChannelRules: readonly Rule[] = [
  {
    line: "Caps",
    pattern: /RefClk=(\S+)/,
    says: (read) => [tableName(read("portCapability1", "referenceClock"))],
  },
  ...reservedArbitration("Arb"),
  {
    line: "Ctrl",
    pattern: /ArbSelect=(\S+)/,
    says: (read) => [tableName(read("portControl", "arbitration"))],
  },
  {
    line: "",
    pattern: /^Port Arbitration Table \[([0-9a-f]+)\] <\?>$/,
    // An absolute offset: the capability lies at `virtualChannelAt`.
    says: (read) => [hexOf(virtualChannelAt + read.number("portCapability2", "tableOffset"), 1)],
  },
  ...times(8, (i): Rule[] => [
    {
      line: `VC${i}`,
      pattern: /MaxTimeSlots=(\d+)/,
      says: (read) => [read(`vc${i}Capability`, "maxTimeSlots")],
    },
    {
      line: `VC${i}`,
      pattern: /ArbSelect=(\S+)/,
      says: (read) => [tableName(read(`vc${i}Control`, "arbitration"))],
    },
    ...reservedArbitration(`VC${i}`),
    {
      line: `VC${i}`,
      pattern: /PATOffset=([0-9a-f]{2})/,
      // As it counts, in units of 16 bytes.
      says: (read) => [hexOf(read.number(`vc${i}Capability`, "tableOffset") / 16, 2)],
    },
    // Printed where the offset is not zero, which `PATOffset` has shown.
    { line: `VC${i}`, pattern: /Port Arbitration Table <\?>/ },
  ]).flat(),
];

/** The bus, device and function that an address in ECAM stands for. */
function ecam(address: bigint): [string, string, string] {
  const low = Number(address & 0xffffffffn);
  const busBits = low & 7 || 8;
  return [
    hexOf((low >>> 20) & (2 ** busBits - 1), 2),
    hexOf((low >>> 15) & 0x1f, 2),
    String((low >>> 12) & 7),
  ];
}
export const rootComplexLinkRules: readonly Rule[] = [
  {
    line: "Desc",
    pattern: /EltType=(\S+)/,
    says: (read) => [tableName(read("elementSelfDescription", "elementType"))],
  },
  ...times(8, (i): Rule[] => [
    {
      line: `Link${i}`,
      pattern: /Addr:\s+(\S\S):(\S\S)\.(\d)\s+CfgSpace=(\S{16})/,
      says: (read) => [
        ...ecam(u64(read, `link${i}Address`)),
        u64(read, `link${i}Address`).toString(16).padStart(16, "0"),
      ],
    },
    {
      line: `Link${i}`,
      pattern: /Addr:\s+(\S{16})/,
      says: (read) => [u64(read, `link${i}Address`).toString(16).padStart(16, "0")],
    },
  ]).flat(),
];

/** As lspci lists devices: a run that reaches the last device keeps its end unsaid. */
function deviceList(bitmap: number): string {
  const ranges: string[] = [];
  for (let device = 0; device < 32; device++) {
    if (!((bitmap >>> device) & 1)) continue;
    const start = device;
    while (device < 31 && (bitmap >>> (device + 1)) & 1) device++;
    ranges.push(device > start && device < 31 ? `${start}-${device}` : String(start));
  }
  return ranges.join(", ");
}
export const eventCollectorRules: readonly Rule[] = [
  {
    line: "RCiEPBitmap",
    pattern: /^RCiEP at Device\(s\): (.+)$/,
    says: (read) => [deviceList(read.number("integratedEndpoints"))],
  },
  {
    line: "RCiEPBitmap",
    pattern: /^(\S+) \[none\]$/,
    says: (read) => [hexOf(read.number("integratedEndpoints"), 8)],
  },
  {
    line: "AssociatedBusNumbers",
    pattern: /^(\S\S)-(\S\S)(?: \[none\])?$/,
    says: (read) => [
      hexOf(read.number("busNumbers", "next"), 2),
      hexOf(read.number("busNumbers", "last"), 2),
    ],
  },
];
