import { bytesText } from "../device/address/size-text.ts";
import type { DescribedBar, DeviceDescription } from "../device/passthrough/describe.ts";
import type { Style } from "./style.ts";
import type { DifferenceRule, ReplayDifference, ReplayReport } from "../device/replay/replay.ts";
import { hex } from "../regs/hex-text.ts";

const ruleText: Record<DifferenceRule, string> = {
  "bar-address": "BAR registers: this guest got other addresses",
  "hidden-capability": "a capability is hidden, or a list is linked past one",
  "msix-relocated": "the MSI-X table is somewhere else",
  "patched-bit": "a bit that belongs to the guest's bus",
  "host-virtual": "a bit that the host shows otherwise than the device has it",
  "recorded-later":
    "writable bits that the guest had not written yet: recorded after firmware and driver had",
};

const kindText: Record<DescribedBar["kind"], string> = {
  io: "I/O ports",
  memory32: "32-bit memory",
  memory64: "64-bit memory",
  rom: "expansion ROM",
};

/** A readable account of a replay, in lines. */
export function replayText(report: ReplayReport, style: Style): string[] {
  const { attached, final } = report;
  const title = (text: string): string[] => ["", style.bold(text)];
  return [
    ...title("Capabilities"),
    ...capabilityLines(attached, style),
    ...title("Base address registers"),
    ...final.bars.flatMap((bar) => barLines(bar, attached, style)),
    ...(final.bars.length === 0 ? ["  none"] : []),
    ...msixLines(final),
    ...title("What the guest set off"),
    ...report.steps.map(({ line, what }) => `  ${style.dim(`line ${String(line).padStart(4)}`)}  ${what}`),
    ...(report.steps.length === 0 ? ["  nothing"] : moreLine(report.stepCount - report.steps.length)),
    ...title("Interrupts"),
    ...interruptLines(final),
    ...title("Cost"),
    ...costLines(report, style),
    ...title("Values that differ from the recorded guest's"),
    ...differenceLines(report, style),
    ...(report.events.length > 0
      ? [
          ...title("Events"),
          ...report.events.map(({ kind, message }) => `  ${kind}: ${message}`),
          ...moreLine(report.eventCount - report.events.length),
        ]
      : []),
  ];
}

function capabilityLines({ capabilities, patches }: DeviceDescription, style: Style): string[] {
  const lines = capabilities.map(({ offset, name, id, extended, hidden }) => {
    const label = name === "unknown" ? `unknown (${extended ? "extended " : ""}ID ${hex(id, 2)})` : name;
    return `  ${hex(offset, 3)}  ${label.padEnd(28)} ${hidden ? style.dim("hidden from the guest") : "shown"}`;
  });
  for (const { kind, offset, name } of patches)
    if (kind === "added" || kind === "bit") lines.push(`  ${hex(offset, 3)}  ${name}`);
  return lines.length > 0 ? lines : ["  none"];
}

function barLines(bar: DescribedBar, attached: DeviceDescription, style: Style): string[] {
  const first = attached.bars.find(({ region }) => region === bar.region)!.address;
  const grown = bar.size > bar.physicalSize ? ` (${bytesText(bar.physicalSize)} on the device)` : "";
  const kind = `${kindText[bar.kind]}${bar.prefetchable ? ", prefetchable" : ""}`;
  const at = (address: number | undefined): string => (address === undefined ? "nowhere" : hex(address));
  const lines = [
    `  ${bar.name.padEnd(5)} ${bytesText(bar.size).padEnd(10)} ${kind}${grown}: given ${at(first)}, ` +
      (bar.base === undefined ? `now ${at(bar.address)}, not decoded` : `decodes at ${at(bar.base)}`),
  ];
  if (bar.base === undefined) return lines;
  let mapped = 0;
  for (const { gpa, size, peer } of bar.mapped) {
    mapped += size;
    lines.push(
      style.dim(`        mapped ${hex(gpa)}-${hex(gpa + size - 1)}${peer ? ", within reach of peers" : ""}`),
    );
  }
  if (mapped < bar.size) lines.push(style.dim(`        ${bytesText(bar.size - mapped)} trapped`));
  return lines;
}

function msixLines({ msix }: DeviceDescription): string[] {
  if (!msix) return [];
  const { guest, physical, relocated } = msix;
  const place = ({ region, offset }: { region: number; offset: number }): string =>
    `BAR${region}+${hex(offset)}`;
  const where = `table ${place(guest.table)}, PBA ${place(guest.pba)}`;
  const moved = relocated
    ? `relocated from ${place(physical.table)} and ${place(physical.pba)}`
    : "not relocated";
  return [`  MSI-X ${guest.vectors} vectors, ${where}, ${moved}`];
}

function interruptLines({ interrupts }: DeviceDescription): string[] {
  const { mode, intx, msiVectors, msixVectors, routed } = interrupts;
  const has = [
    intx && `INTx (unmasked by ${intx === "resample" ? "resample eventfd" : intx})`,
    msiVectors > 0 && `MSI with ${msiVectors} ${msiVectors === 1 ? "vector" : "vectors"}`,
    msixVectors > 0 && `MSI-X with ${msixVectors} vectors`,
  ].filter(Boolean);
  const count = routed.length === 0 ? "" : `, ${routed.length} vectors routed`;
  return [
    `  the device has ${has.join(", ") || "none"}; at the end ${mode === "none" ? "none is" : `${mode} is`} on${count}`,
  ];
}

function costLines({ reads, writes, counts, mostReadsPerAccess }: ReplayReport, style: Style): string[] {
  const ratio = reads === 0 ? 0 : counts.configReads / reads;
  return [
    `  ${reads} guest reads took ${counts.configReads} reads of the device: ` +
      `${style.good(ratio.toFixed(3))} a read, never more than ${mostReadsPerAccess}`,
    `  ${writes} guest writes took ${counts.configWrites} writes of the device and ${counts.setIrqs} interrupt requests`,
  ];
}

/** A line for what a list leaves out. */
const moreLine = (count: number): string[] => (count > 0 ? [`  ... and ${count} more`] : []);

function differenceLines(report: ReplayReport, style: Style): string[] {
  const { differences, differenceCounts: counts, reads } = report;
  const lines: string[] = [];
  const count = (of: number): string => String(of).padStart(4);
  const first = new Map<DifferenceRule, ReplayDifference>();
  for (const difference of differences)
    if (difference.rule !== undefined && !first.has(difference.rule)) first.set(difference.rule, difference);
  for (const [rule, text] of Object.entries(ruleText) as [DifferenceRule, string][]) {
    const found = first.get(rule);
    if (found === undefined) continue;
    lines.push(`  ${count(counts[rule])}  ${text}`, style.dim(`        first: ${differenceText(found)}`));
  }
  const unexplained = differences.filter(({ rule }) => rule === undefined);
  for (const difference of unexplained) lines.push(style.bad(`  unexplained: ${differenceText(difference)}`));
  lines.push(...moreLine(counts.unexplained - unexplained.length));
  const same = Object.values(counts).reduce((left, differing) => left - differing, reads);
  lines.push(`  ${count(same)}  of ${reads} reads gave exactly what the recorded guest read`);
  if (counts.unexplained === 0)
    lines.push(style.good("  every difference is one that the model makes on purpose"));
  return lines;
}

const differenceText = ({ line, offset, recorded, seen }: ReplayDifference): string =>
  `line ${line}, offset ${hex(offset)}: recorded ${hex(recorded)}, here ${hex(seen)}`;
