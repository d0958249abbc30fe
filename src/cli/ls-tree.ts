// The host's PCI functions as a tree: root buses, ports, and what is behind them.
import { functionsOn } from "../device/host/function-of.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import type { PciNames } from "../device/host/pci-names.ts";
import { className, titleOf, type Row } from "./device-title.ts";
import { oneLine } from "./failure.ts";
import { classText, type HostState } from "./host.ts";

import type { Style } from "./style.ts";
import { markOf, verdictText } from "./verdict-text.ts";

/** The root bus of a function: `pci0000:00`. */
export const rootOf = ({ path }: PciDevice): string =>
  /\/(pci[0-9a-f]{4,8}:[0-9a-f]{2})\//.exec(path)?.[1] ?? "pci";

/** @param rows those to show; the bridges above them come along, without a verdict */
export function treeLines(
  { devices }: HostState,
  rows: readonly Row[],
  names: PciNames,
  style: Style,
): string[] {
  const shown = new Map(rows.map((row) => [row.device.bdf, row]));
  const above = new Set(rows.flatMap(({ device }) => functionsOn(device.path)));
  const kept = devices.filter(({ bdf }) => shown.has(bdf) || above.has(bdf));
  const childrenOf = new Map<string, PciDevice[]>();
  for (const device of kept) {
    const parent = functionsOn(device.path).at(-2) ?? rootOf(device);
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), device]);
  }
  const lines: string[] = [];
  const print = (parent: string, lead: string): void => {
    const children = childrenOf.get(parent) ?? [];
    for (const [index, device] of children.entries()) {
      const last = index === children.length - 1;
      const row = shown.get(device.bdf) ?? { device, verdict: undefined, kernel: undefined };
      lines.push(`${lead}${last ? "└─" : "├─"} ${nodeText(row, names, style)}`);
      print(device.bdf, `${lead}${last ? "  " : "│ "} `);
    }
  };
  for (const root of new Set(kept.filter(({ path }) => functionsOn(path).length < 2).map(rootOf))) {
    lines.push(style.bold(root));
    print(root, "");
  }
  return lines;
}

function nodeText(
  row: Pick<Row, "device" | "kernel"> & { readonly verdict: Row["verdict"] | undefined },
  names: PciNames,
  style: Style,
): string {
  const { device, verdict, kernel } = row;
  const what = titleOf(row, names) ?? className(device, names) ?? classText(device);
  const title = [...(kernel?.names ?? []), what].join(" ");
  const driver = device.driver === undefined ? "" : ` [${device.driver}]`;
  const group = device.iommuGroup === undefined ? "" : ` group ${device.iommuGroup}`;
  // A bridge is one already by its place in the tree.
  const found = verdict === undefined || verdict.state === "bridge" ? "" : verdictText(verdict);
  const end = verdict === undefined || found === "" ? "" : `: ${markOf(verdict, style)(oneLine(found))}`;
  return `${style.bold(device.bdf)} ${oneLine(`${title}${driver}${group}`)}${end}`;
}
