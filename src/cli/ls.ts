import type { PciDevice } from "../device/host/pci-device.ts";
import { readPciNames, type PciNames } from "../device/host/pci-names.ts";
import { deviceVerdict, type DeviceVerdict } from "../device/host/verdict.ts";
import { exitCode, oneLine } from "./failure.ts";
import { classText, idsText, viewHost, type HostView } from "./host.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";

export interface ListOptions {
  readonly json?: boolean | undefined;
  readonly color: boolean;
}

/** Prints every PCI function of the host and whether it can be passed through. */
export function listCommand(options: ListOptions): number {
  const view = viewHost();
  const names = readPciNames(view.files);
  const rows = view.devices.map((device) => ({ device, verdict: verdictOf(view, device) }));
  if (options.json) {
    const devices = rows.map(({ device, verdict }) => ({ ...deviceJson(device, names), verdict }));
    print(`${JSON.stringify({ formatVersion: 1, devices }, undefined, 2)}\n`);
  } else print(table(rows, names, styleOf(options.color)));
  return exitCode.ok;
}

const verdictOf = ({ groups, uses, host }: HostView, device: PciDevice): DeviceVerdict =>
  deviceVerdict(
    device,
    groups.find(({ id }) => id === device.iommuGroup),
    uses,
    host,
  );

/** What a function is called, or at least its vendor; undefined where no database knows it. */
export const deviceName = (device: PciDevice, names: PciNames): string | undefined =>
  ownName(device, names) ?? names.vendor.get(device.vendorId ?? 0);
const ownName = ({ vendorId = 0, deviceId = 0 }: PciDevice, names: PciNames): string | undefined =>
  names.device.get(vendorId * 0x10000 + deviceId);
const className = ({ classCode = 0 }: PciDevice, names: PciNames): string | undefined =>
  names.class.get(classCode >>> 8);

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

const titles = ["BDF", "CLASS", "ID", "DRIVER", "GROUP", "NUMA", "CDEV", "VERDICT"];
/** Columns that a name may take. */
const nameWidth = 36;

function table(
  rows: readonly { readonly device: PciDevice; readonly verdict: DeviceVerdict }[],
  names: PciNames,
  style: Style,
): string {
  const cells = rows.map(({ device, verdict }) => [
    device.bdf,
    named(classText(device), className(device, names)),
    named(idsText(device), deviceName(device, names)),
    device.driver ?? "-",
    String(device.iommuGroup ?? "-"),
    String(device.numaNode ?? "-"),
    device.cdev ?? "-",
    verdictText(verdict),
  ]);
  const shown = [titles, ...cells].map((row) => row.map(oneLine));
  const widths = titles.map((_, column) => Math.max(...shown.map((row) => row[column]!.length)));
  const lines = shown.map((row, index) => {
    const padded = row.map((cell, column) =>
      column === row.length - 1 ? cell : cell.padEnd(widths[column]!),
    );
    if (index === 0) return style.bold(padded.join("  "));
    const verdict = padded.pop()!;
    return [...padded, mark(rows[index - 1]!.verdict, style)(verdict)].join("  ");
  });
  const problems = rows.flatMap(({ device }) =>
    device.problems.map((problem) => style.bad(oneLine(`${device.bdf}: sysfs makes no sense: ${problem}`))),
  );
  return [...lines, ...problems].map((line) => `${line}\n`).join("");
}

const named = (number: string, name: string | undefined): string =>
  name === undefined
    ? number
    : `${number} ${name.length > nameWidth ? `${name.slice(0, nameWidth - 3)}...` : name}`;

const stateText: Readonly<Record<DeviceVerdict["state"], string>> = {
  ready: "ready",
  bindable: "bindable",
  "in-use": "in use",
  blocked: "blocked",
  bridge: "bridge",
  "no-iommu": "no IOMMU",
};

/** `in use: nvme0n1 is mounted at /`. */
export const verdictText = ({ state, reason }: DeviceVerdict): string =>
  reason === "" ? stateText[state] : `${stateText[state]}${state === "in-use" ? ":" : ""} ${reason}`;

/** Without an IOMMU nothing is good. */
const mark = ({ state, reason }: DeviceVerdict, style: Style): ((text: string) => string) =>
  state === "ready" && reason === ""
    ? style.good
    : state === "blocked"
      ? style.bad
      : state === "bridge"
        ? style.dim
        : same;
const same = (text: string): string => text;
