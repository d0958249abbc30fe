// How lspci writes addresses and sizes: of virtual functions, multicast windows and resizable BARs.
import type { Read, Rule } from "./compare.ts";
import { hexOf, sign, times, u64 } from "./lspci-forms.ts";

/** The address of a BAR of virtual functions as lspci puts it: both halves, and what its low bits say. */
function region(read: Read, index: number): string[] {
  const low = read.number(`vfBar${index}`);
  const wide = ((low >>> 1) & 3) === 2;
  // lspci takes the register behind the last BAR for the upper half of one that has none.
  const behind = (): number =>
    read.number("migrationStateArray", "offset") + read.number("migrationStateArray", "bir");
  const high = wide ? (index < 5 ? read.number(`vfBar${index + 1}`) : behind()) : 0;
  return [
    `${wide ? hexOf(high, 8) : ""}${hexOf((low & ~0xf) >>> 0, 8)}`,
    ((low >>> 1) & 3) === 0 ? "32" : "64",
    low & 8 ? "" : "non-",
  ];
}
export const srIovRules: readonly Rule[] = [
  {
    line: "Initial VFs",
    pattern: /, Total VFs: (\d+), Number of VFs: (\d+), Function Dependency Link: (\S\S)$/,
    says: (read) => [read("totalVfs"), read("numVfs"), hexOf(read.number("functionDependencyLink"), 2)],
  },
  {
    line: "VF offset",
    pattern: /, stride: (\d+), Device ID: (\S{4})$/,
    says: (read) => [read("vfStride"), hexOf(read.number("vfDeviceId"), 4)],
  },
  {
    line: "Supported Page Size",
    pattern: /, System Page Size: (\S{8})$/,
    says: (read) => [hexOf(read.number("systemPageSize"), 8)],
  },
  ...times(6, (i): Rule => ({
    line: `Region ${i}`,
    pattern: /^Memory at (\S+) \((32|64)-bit, (non-)?prefetchable\)/,
    says: (read) => {
      const [address, bits, prefix] = region(read, i);
      return [address, bits, prefix === "" ? undefined : prefix];
    },
  })),
  {
    line: "VF Migration",
    pattern: /offset: (\S{8})/,
    says: (read) => [hexOf(read.number("migrationStateArray", "offset"), 8)],
  },
];

export const multicastRules: readonly Rule[] = [
  {
    line: "McastCap",
    pattern: /^MaxGroups (\d+)/,
    says: (read) => [read("capability", "maxGroups")],
  },
  {
    line: "McastCap",
    pattern: /WindowSz (\d+) \((-?\d+) bytes\)/,
    says: (read) => [read("capability", "windowSize"), 2 ** read.number("capability", "windowSize")],
  },
  // But for the ports of a switch or root complex lspci does not end the line before.
  {
    line: "McastCap",
    pattern: /\s*McastCtl: NumGroups (\d+), Enable([+-])$/,
    says: (read) => [read("control", "numGroups"), sign(read("control", "enable"))],
  },
  {
    line: "McastCtl",
    pattern: /NumGroups (\d+)/,
    says: (read) => [read("control", "numGroups")],
  },
  {
    line: "McastBAR",
    pattern: /BaseAddr (\S{16})/,
    says: (read) => [hexOf(read.number("baseUpper"), 8) + hexOf(read.number("base", "address"), 8)],
  },
  {
    line: "McastOverlayBAR",
    pattern: /^OverlaySize (\d+) \((?:(\d+) bytes|(disabled))\), BaseAddr (\S{16})$/,
    says: (read) => {
      const size = read.number("overlay", "size");
      const address = hexOf(read.number("overlayUpper"), 8) + hexOf(read.number("overlay", "address"), 8);
      return [size, size >= 6 ? 2 ** size : undefined, size < 6 ? "disabled" : undefined, address];
    },
  },
  // A register of 64 bits under the name of its line.
  ...(["receive", "blockAll", "blockUntranslated"] as const).map((register, i): Rule => ({
    line: ["McastReceiveVec", "McastBlockAllVec", "McastBlockUntransVec"][i]!,
    pattern: /^(\S{16})$/,
    says: (read) => [u64(read, register).toString(16).padStart(16, "0")],
  })),
];

/** Entries are found by the BAR that they are for, which is their line's label. */
export const resizableBarRules: readonly Rule[] = [
  ...times(8, (bar): Rule => ({
    line: `BAR ${bar}`,
    pattern: /^current size: (\S+)(?:, supported: (.+))?$/,
    says: (read) => {
      const text = times(6, (i) => read.text(`bar${i}Sizes`)).find((one) => one?.startsWith(`BAR ${bar}:`));
      const match = /current size: (\S+), supported: (.+)$/.exec(text ?? "");
      if (!match) throw new Error(`no entry is for BAR ${bar}`);
      const [, size = "", sizes] = match;
      return [size.startsWith("reserved") ? "<unknown>" : size, sizes === "none" ? undefined : sizes];
    },
  })),
  {
    line: "<error in resizable BAR",
    pattern: /^num_bars=(\d) is out of specification>$/,
    says: (read) => [read("bar0Control", "numBars")],
  },
];
