import { jsonText } from "../image/json-text.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { readPciNames, type PciNames } from "../device/host/pci-names.ts";
import { deviceVerdict, type DeviceVerdict } from "../device/host/verdict.ts";
import { chosenDevices } from "./device-filter.ts";
import { className, ownName, titleOf, type Row } from "./device-title.ts";
import { exitCode, oneLine } from "./failure.ts";
import { classText, idsText, readHostState, type HostState } from "./host.ts";
import { treeLines } from "./ls-tree.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";
import { outputWidth, tableLines } from "./table.ts";
import { markOf, verdictWords } from "./verdict-text.ts";

export interface ListOptions {
  readonly json?: boolean | undefined;
  readonly tree?: boolean | undefined;
  /** A state of verdicts, which the parser has looked at: those alone. */
  readonly verdict?: string | undefined;
  readonly color: boolean;
}

/** Prints the PCI functions of the host and whether each can be passed through. @param words those of them alone */
export function listCommand(words: readonly string[], options: ListOptions): number {
  const view = readHostState();
  const names = readPciNames(view.files);
  const rows = chosenDevices(view, words, names)
    .map((device): Row => ({ device, verdict: verdictOf(view, device), kernel: view.names.get(device.bdf) }))
    .filter(({ verdict }) => options.verdict === undefined || verdict.state === options.verdict);
  if (options.json) {
    const devices = rows.map(({ device, verdict, kernel }) => ({
      ...deviceJson(device, names),
      names: kernel?.names ?? [],
      models: kernel?.models ?? [],
      verdict,
    }));
    print(`${jsonText({ formatVersion: 1, devices }, undefined, 2)}\n`);
    return exitCode.ok;
  }
  const style = styleOf(options.color);
  const shown = options.tree ? treeLines(view, rows, names, style) : table(rows, names, style);
  const problems = rows.flatMap(({ device }) =>
    device.problems.map((problem) => style.bad(oneLine(`${device.bdf}: sysfs makes no sense: ${problem}`))),
  );
  print([...shown, ...problems].map((line) => `${line}\n`).join(""));
  return exitCode.ok;
}

const verdictOf = ({ groups, uses, host }: HostState, device: PciDevice): DeviceVerdict =>
  deviceVerdict(
    device,
    groups.find(({ id }) => id === device.iommuGroup),
    uses,
    host,
  );

/** A function for `--json`: docs/host-commands.md. */
function deviceJson(device: PciDevice, names: PciNames): Record<string, unknown> {
  const { path: _, ...facts } = device;
  const named = {
    className: className(device, names),
    vendorName: names.vendor.get(device.vendorId ?? 0),
    name: ownName(device, names),
  };
  return Object.fromEntries(
    Object.entries({ ...facts, ...named }).map(([key, value]) => [key, value ?? null]),
  );
}

function table(rows: readonly Row[], names: PciNames, style: Style): string[] {
  const column = (cell: (row: Row) => string | number | undefined): string[] =>
    rows.map((row) => String(cell(row) ?? "-"));
  const named = (number: string, name: string | undefined): string =>
    name === undefined ? number : `${number} ${name}`;
  return tableLines(
    [
      { title: "BDF", cells: column(({ device }) => device.bdf) },
      {
        title: "VERDICT",
        cells: column(({ verdict }) => verdictWords[verdict.state]),
        mark: (row) => markOf(rows[row]!.verdict, style),
      },
      { title: "GROUP", cells: column(({ device }) => device.iommuGroup) },
      { title: "NUMA", cells: column(({ device }) => device.numaNode), optional: true, drop: "first" },
      { title: "DRIVER", cells: column(({ device }) => device.driver) },
      { title: "NAME", cells: column(({ kernel }) => kernel?.names.join(",")), optional: true, min: 8 },
      { title: "CDEV", cells: column(({ device }) => device.cdev), optional: true, drop: "first" },
      {
        title: "CLASS",
        cells: column(({ device }) => named(classText(device), className(device, names))),
        min: 5,
        drop: "last",
      },
      { title: "DEVICE", cells: column((row) => named(idsText(row.device), titleOf(row, names))), min: 9 },
      { title: "WHY", cells: rows.map(({ verdict }) => verdict.reason), optional: true, below: true },
    ],
    outputWidth(process.stdout),
    style,
  );
}
