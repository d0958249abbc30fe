// How lspci writes the DVSECs of Compute Express Link.
import type { Read, Rule } from "./compare.ts";
import { hexOf, sign, times } from "./lspci-forms.ts";

/** lspci has no unit for 10 s, keeps the base of a reserved scale, and never goes to the larger unit. */
function flushTime(read: Read, register: string): string {
  const scale = String(read(register, "timeScale"));
  const factor = Number(/^(\d+)/.exec(scale)?.[1] ?? 1) % 1000 || 1;
  const unit = scale.startsWith("reserved") || scale === "10s" ? "<?>" : scale.replace(/^\d+/, "");
  return `${read.number(register, "timeBase") * factor}${unit}`;
}
/** The product's own words name the same time. */
function agreed(read: Read, register: string, name: string): string {
  const text = flushTime(read, register);
  const microseconds = (time: string): number => {
    const [, count = "0", unit = ""] = /^(\d+)(\S+)$/.exec(time) ?? [];
    return Number(count) * ({ us: 1, ms: 1e3, s: 1e6, "<?>": 1e6 }[unit] ?? NaN);
  };
  const own = read.text(name);
  const same = own === undefined ? text.endsWith("<?>") : microseconds(own) === microseconds(text);
  return same ? text : `${own}`;
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
      const [, count = "", unit = ""] =
        /^Cache Size: (\d+)([KMG]?)$/.exec(read.text("cacheBytes") ?? "") ?? [];
      return [hexOf(Number(count) * ({ K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit] ?? 1), 8)];
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
    {
      line: `Range${n}`,
      pattern: /^(\S{16})-(\S{16})/,
      says: (read, match) =>
        read.text(`range${n}`)?.startsWith(`${match[1]}-${match[2]} `)
          ? [match[1], match[2]]
          : [read.text(`range${n}`), ""],
    },
    {
      line: `Range${n}`,
      pattern: /timeout=(\d+)s/,
      says: (read) => [read(`range${n}SizeLow`, "timeout")],
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
  {
    line: "GPF Phase 1 Timeout",
    pattern: /^(.+)$/,
    says: (read) => [agreed(read, "phase1", "phase1Timeout")],
  },
  {
    line: "GPF Phase 2 Timeout",
    pattern: /^(.+)$/,
    says: (read) => [agreed(read, "phase2", "phase2Timeout")],
  },
  {
    line: "GPF Phase 2 Duration",
    pattern: /^(.+)$/,
    says: (read) => [agreed(read, "phase2", "phase2Duration")],
  },
  { line: "GPF Phase 2 Power", pattern: /^(\d+)mW$/, says: (read) => [read("phase2Power", "milliwatts")] },
  reservedScale("phase2"),
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
