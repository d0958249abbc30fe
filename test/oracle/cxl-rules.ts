// How lspci writes the DVSECs of Compute Express Link.
import type { Read, Rule } from "./compare.ts";
import { hexOf, sign, times } from "./lspci-forms.ts";

function range(read: Read, n: number): string[] {
  const half = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  const base = half(read.number(`range${n}BaseHigh`), read.number(`range${n}BaseLow`, "address") * 2 ** 28);
  const size = half(read.number(`range${n}SizeHigh`), read.number(`range${n}SizeLow`, "size") * 2 ** 28);
  const last = BigInt.asUintN(64, base + size - 1n);
  return [base, last].map((value) => value.toString(16).padStart(16, "0"));
}

const units = { "1us": 1, "10us": 10, "100us": 100, "1ms": 1, "10ms": 10, "100ms": 100, "1s": 1, "10s": 10 };
/** A time of the flush on power failure: lspci has no unit for 10 s, and keeps the base of a reserved scale. */
function flushTime(read: Read, register: string): string {
  const scale = String(read(register, "timeScale"));
  const factor = units[scale as keyof typeof units] ?? 1;
  const unit = scale.startsWith("reserved") || scale === "10s" ? "<?>" : scale.replace(/^\d+/, "");
  return `${read.number(register, "timeBase") * factor}${unit}`;
}
const reservedScale = (register: string): Rule => ({
  line: "",
  pattern: /^Reserved time scale encoding ([0-9a-f])$/,
  says: (read) => [hexOf(Number(/^reserved\((\d+)\)$/.exec(String(read(register, "timeScale")))?.[1]), 1)],
});

export const cxlRules: readonly Rule[] = [
  { line: "CXLCap", pattern: /Mem HW Init([+-])/, says: (read) => [sign(read("capability", "memHwInit"))] },
  {
    line: "CXLCtl",
    pattern: /Cache SF Cov (\d+) Cache SF Gran (\d+) Cache Clean([+-])/,
    says: (read) => [
      read("control", "snoopFilterCoverage"),
      read("control", "snoopFilterGranularity"),
      sign(read("control", "cleanEviction")),
    ],
  },
  {
    line: "Cache Size",
    pattern: /^(\S{8})$/,
    says: (read) => {
      const unit = { "64K": 65536, "1M": 1048576 }[String(read("capability2", "cacheSizeUnit"))];
      return [hexOf(read.number("capability2", "cacheSize") * (unit ?? NaN), 8)];
    },
  },
  {
    line: "",
    pattern: /^Cache Size (Not Reported)$/,
    says: (read) => [read("capability2", "cacheSizeUnit") === "not reported" && "Not Reported"],
  },
  {
    line: "Cache Size",
    pattern: /^(\d+) of unknown unit size \((\d+)\)$/,
    says: (read) => [
      read("capability2", "cacheSize"),
      /^reserved\((\d+)\)$/.exec(String(read("capability2", "cacheSizeUnit")))?.[1],
    ],
  },
  ...[1, 2].flatMap((n): Rule[] => [
    { line: `Range${n}`, pattern: /^(\S{16})-(\S{16})/, says: (read) => range(read, n) },
    {
      line: `Range${n}`,
      pattern: /timeout=(\d+)s/,
      says: (read) => [4 ** read.number(`range${n}SizeLow`, "timeout")],
    },
  ]),
  // lspci reads 16 of the 32 bits.
  ...times(8, (i): Rule => ({
    line: `FuncMap ${i}`,
    pattern: /^0000(\S{4})$/,
    says: (read) => [hexOf(read.number(`functionMap${i}`) % 0x1_0000, 4)],
  })),
  // lspci takes the register's offset for the mask of its bit: what it says is of reserved bits.
  { line: "CXLPortSta", pattern: /^PMComplete[+-]$/ },
  // Twice under one name: bus numbers, then memory addresses.
  {
    line: "AlternateBus",
    pattern: /^(\S\S)-(\S\S)$/,
    says: (read) => [hexOf(read.number("alternateBusBase"), 2), hexOf(read.number("alternateBusLimit"), 2)],
  },
  {
    line: "AlternateBus",
    pattern: /^(\S{4})-(\S{4})$/,
    says: (read) => [
      hexOf(read.number("alternateMemoryBase"), 4),
      hexOf(read.number("alternateMemoryLimit"), 4),
    ],
  },
  { line: "GPF Phase 1 Timeout", pattern: /^(.+)$/, says: (read) => [flushTime(read, "phase1")] },
  { line: "GPF Phase 2 Timeout", pattern: /^(.+)$/, says: (read) => [flushTime(read, "phase2")] },
  { line: "GPF Phase 2 Duration", pattern: /^(.+)$/, says: (read) => [flushTime(read, "phase2Duration")] },
  { line: "GPF Phase 2 Power", pattern: /^(\d+)mW$/, says: (read) => [read("phase2Power")] },
  reservedScale("phase2Duration"),
  ...times(8, (i): Rule => ({
    line: `Block${i + 1}`,
    pattern: /^BIR: bar(\d), ID: (.+), offset: (\S{16})$/,
    says: (read) => {
      const id = String(read(`block${i + 1}Low`, "blockId"));
      return [
        read(`block${i + 1}Low`, "bir"),
        id.startsWith("reserved") ? "<?>" : id,
        hexOf(read.number(`block${i + 1}High`), 8) +
          hexOf(read.number(`block${i + 1}Low`, "offset") * 65536, 8),
      ];
    },
  })),
  {
    line: "",
    pattern: /^Revision (0) not supported$/,
    says: (read) => [read("header1", "revision")],
  },
  { line: "", pattern: /^Unknown ID (\S{4})$/, says: (read) => [hexOf(read.number("dvsecId"), 4)] },
];
