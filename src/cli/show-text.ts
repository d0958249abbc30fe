// A device as `show` prints it for people.
import { areasText } from "../image/defaults.ts";
import type { DeviceImage } from "../image/image.ts";
import { configText, type Verbosity } from "../regs/text.ts";
import { irqName } from "../regs/vfio/irqs.ts";
import { regionName, type RegionInfo } from "../regs/vfio/regions.ts";
import type { Malformation } from "../regs/walk.ts";
import type { Input, InputDevice } from "./input.ts";
import { regionWords } from "./region-words.ts";
import type { Style } from "./style.ts";

const hex = (value: number): string => `0x${value.toString(16)}`;

/** @param leftOut what of it is not wrong but left out of the recording */
export function deviceText(
  device: InputDevice,
  leftOut: readonly Malformation[],
  kind: Input["kind"],
  verbosity: Verbosity,
  style: Style,
): string {
  const { bdf, known } = device;
  const [heading, ...rest] = configText(known, verbosity).trimEnd().split("\n");
  const lines = [`${bdf === undefined ? "" : `${style.bold(bdf)} `}${heading}`];
  if (kind === "image" || kind === "sysfs")
    lines.push(...device.image.regions.map((region) => regionLine(region)), ...irqLines(device.image));
  const unread = device.unknown?.config ?? [];
  if (unread.length > 0) lines.push(`\tNote: bytes of config space that are unknown: ${areasText(unread)}`);
  const notes = leftOut.map(({ message }) => `\tMalformed: ${message}`);
  for (const line of rest) {
    const capability = /^\tCapabilities: \[\w+(?: v\d+)?\] /.exec(line)?.[0];
    if (notes.includes(line)) lines.push(leftOutLine(known.length, kind));
    else if (/^\t(?:Malformed|Does not answer): /.test(line)) lines.push(style.bad(line));
    else if (capability) lines.push(capability + style.bold(line.slice(capability.length)));
    else lines.push(line);
  }
  return `${lines.join("\n")}\n`;
}

const leftOutLine = (bytes: number, kind: Input["kind"]): string =>
  kind === "sysfs"
    ? `\tNote: without root Linux shows ${bytes} bytes of config space, and no capabilities`
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
