// A device as `show` prints it for people.
import { readPciNames, type PciNames } from "../device/host/pci-names.ts";
import { areasText } from "../image/defaults.ts";
import type { DeviceImage } from "../image/image.ts";
import { configText, type Verbosity } from "../regs/text.ts";
import { irqName } from "../regs/vfio/irqs.ts";
import { RegionIndex, regionName, type RegionInfo } from "../regs/vfio/regions.ts";
import type { Malformation } from "../regs/walk.ts";
import { sysroot } from "./host.ts";
import type { Input, InputDevice } from "./input.ts";
import { isUnknown, noGaps } from "../regs/gaps.ts";
import { printable } from "../regs/printable.ts";
import { regionWords } from "./region-words.ts";
import type { Style } from "./style.ts";
import { hex } from "../regs/hex-text.ts";

/** @param leftOut what of it is not wrong but left out of the recording */
export function deviceText(
  device: InputDevice,
  leftOut: readonly Malformation[],
  kind: Input["kind"],
  verbosity: Verbosity,
  style: Style,
): string {
  const { bdf, known } = device;
  const unread = device.unknown?.config ?? [];
  const [heading, ...rest] = configText(known, verbosity, unread).trimEnd().split("\n");
  const lines = [`${bdf === undefined ? "" : `${style.bold(bdf)} `}${heading}`];
  if (kind === "image" || kind === "sysfs")
    lines.push(...device.image.regions.map((region) => regionLine(region)), ...irqLines(device.image));
  lines.push(...hostLines(device, kind, verbosity));
  if (unread.length > 0) lines.push(`\tNote: bytes of config space that are unknown: ${areasText(unread)}`);
  const notes = leftOut.map(({ message }) => `\tMalformed: ${message}`);
  for (const line of rest) {
    // Of a capability's registers, as most lines are, nothing is added.
    if (line.startsWith("\t\t")) {
      lines.push(line);
      continue;
    }
    const capability = /^\tCapabilities: \[\w+(?: v\d+)?\] /.exec(line)?.[0];
    if (notes.includes(line)) lines.push(leftOutLine(known.length, kind));
    else if (/^\t(?:Malformed|Does not answer): /.test(line)) lines.push(style.bad(line));
    else if (capability) lines.push(capability + style.bold(line.slice(capability.length)));
    else lines.push(`${line}${kind === "lspci" || kind === "config" ? "" : sizeOf(line, device.image)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** What the host knows of the function: its name, its driver, its IOMMU group, the node whose memory is near. */
function hostLines(device: InputDevice, kind: Input["kind"], verbosity: Verbosity): string[] {
  const { known, place, unknown } = device;
  const lines: string[] = [];
  if (verbosity > 0) {
    const name = isUnknown(unknown?.config ?? noGaps, 0, 4) ? undefined : nameOf(known);
    if (name !== undefined) lines.push(`\tDevice: ${printable(name)}`);
  }
  if (kind === "lspci" || kind === "config") return lines;
  const { driver } = device.image.host;
  if (driver !== undefined && (place || verbosity > 0))
    lines.push(`\tKernel driver in use: ${printable(driver)}`);
  if (place?.iommuGroup !== undefined) lines.push(`\tIOMMU group: ${place.iommuGroup}`);
  if (place?.numaNode !== undefined) lines.push(`\tNUMA node: ${place.numaNode}`);
  return lines;
}

let database: PciNames | undefined;

/** Vendor and device as the host's PCI ID database calls them. */
function nameOf(config: Uint8Array): string | undefined {
  if (config.length < 4) return undefined;
  database ??= readPciNames(sysroot());
  const [vendorId, deviceId] = [0, 2].map((at) => config[at]! | (config[at + 1]! << 8)) as [number, number];
  const vendor = database.vendor.get(vendorId);
  const device = database.device.get(vendorId * 0x10000 + deviceId);
  return vendor === undefined ? undefined : device === undefined ? vendor : `${vendor} ${device}`;
}

/** What follows the line of a BAR or of the ROM whose size is known: ` [size=16K]`. */
function sizeOf(line: string, { regions }: DeviceImage): string {
  const told = /^\t(?:\[\w+\] 0x\w+ )?(?:Region (\d): (?:Memory|I\/O)|(Expansion ROM): )/.exec(line);
  if (!told) return "";
  const index = told[2] === undefined ? Number(told[1]) : RegionIndex.rom;
  const size = regions.find((region) => region.index === index)?.size ?? 0;
  return size === 0 ? "" : ` [size=${shortSize(size)}]`;
}

/** As lspci has it: the largest unit in which it is whole. */
function shortSize(size: number): string {
  const units = ["", "K", "M", "G", "T"];
  let unit = 0;
  for (; size % 1024 === 0 && unit < units.length - 1; unit++) size /= 1024;
  return `${size}${units[unit]}`;
}

const leftOutLine = (bytes: number, kind: Input["kind"]): string =>
  kind === "sysfs"
    ? `\tNote: without root Linux shows ${bytes} bytes of config space, and no capabilities`
    : bytes < 64
      ? `\tNote: this dump ends after ${bytes} bytes of the header's 64`
      : `\tNote: ${bytes === 64 ? "" : "some "}capabilities are not in this dump of ${bytes} bytes`;

function regionLine(region: RegionInfo): string {
  const { index, size, sparse, type, msixMappable } = region;
  const words = [size === 0 ? "size unknown" : `size ${hex(size)}`, regionWords(region).join(" ")];
  if (msixMappable) words.push("MSI-X mappable");
  if (sparse)
    words.push(`sparse ${sparse.map(({ offset, size }) => `${hex(offset)}+${hex(size)}`).join(" ")}`);
  if (type) words.push(`type ${hex(type.type)}:${hex(type.subtype)}`);
  return `\tRegion ${regionName(index)}: ${words.filter((word) => word !== "").join(", ")}`;
}

function irqLines({ irqs, unknown }: DeviceImage): string[] {
  const counts = [
    ...irqs.map(({ index, count }) => ({ index, text: String(count) })),
    ...(unknown?.irqs ?? []).map((index) => ({ index, text: "unknown" })),
  ];
  const words = counts
    .sort((a, b) => a.index - b.index)
    .map(({ index, text }) => `${irqName(index)} ${text}`);
  return words.length === 0 ? [] : [`\tInterrupts: ${words.join(", ")}`];
}
