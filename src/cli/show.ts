import { irqName } from "../regs/vfio/irqs.ts";
import { regionName } from "../regs/vfio/regions.ts";
import type { DeviceImage, ImageIrq, ImageRegion } from "../image/image.ts";
import { decodeConfig, type DecodedConfig } from "../regs/decode.ts";
import { configText, type Verbosity } from "../regs/text.ts";
import type { Malformation } from "../regs/walk.ts";
import { exitCode } from "./failure.ts";
import { readInput, type Input, type InputDevice } from "./input.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";

export interface ShowOptions {
  readonly verbose: number;
  readonly json?: boolean | undefined;
  readonly device?: string | undefined;
  readonly color: boolean;
}

/** Prints every device of a file. @returns 1 if a capability list is malformed; one left out by a dump of the header alone is not */
export function showCommand(file: string, options: ShowOptions): number {
  const input = readInput(file, options.device);
  const decoded = input.devices.map(({ image }) => decodeConfig(image.config));
  if (options.json) print(`${JSON.stringify(showJson(input, decoded), undefined, 2)}\n`);
  else {
    const style = styleOf(options.color);
    const verbosity = Math.min(options.verbose, 2) as Verbosity;
    const texts = input.devices.map(({ bdf, image }, index) =>
      deviceText({ bdf, image }, decoded[index]!, input.kind, verbosity, style),
    );
    print(texts.join(verbosity === 0 ? "" : "\n"));
  }
  const malformed = decoded.some(({ malformations }, index) =>
    malformations.some((found) => !isLeftOut(found, input.devices[index]!.image.config)),
  );
  return malformed ? exitCode.found : exitCode.ok;
}

/** A list that starts behind a header of 64 bytes, which is all that `lspci -x` prints and an unprivileged user reads. */
const isLeftOut = ({ kind }: Malformation, config: Uint8Array): boolean =>
  config.length === 64 && kind === "truncated";

/** Flags of a region as words, in the file's order. */
export const regionWords = (region: ImageRegion): string[] => [
  ...(region.readable ? ["read"] : []),
  ...(region.writable ? ["write"] : []),
  ...(region.mappable ? ["mmap"] : []),
];

/** Flags of an interrupt index as words, in the file's order. */
export const irqWords = (irq: ImageIrq): string[] => [
  ...(irq.eventfd ? ["eventfd"] : []),
  ...(irq.maskable ? ["maskable"] : []),
  ...(irq.automasked ? ["automasked"] : []),
  ...(irq.noResize ? ["noresize"] : []),
];

const hex = (value: number): string => `0x${value.toString(16)}`;

/** What `--json` prints; its shape is described in docs/show-json.md and changes only with `formatVersion`. */
function showJson({ kind, devices }: Input, decoded: readonly DecodedConfig[]): unknown {
  return {
    formatVersion: 1,
    source: kind,
    devices: devices.map(({ bdf, image }, index) => ({
      bdf: bdf ?? null,
      configSize: image.config.length,
      config: decoded[index],
      recording: kind === "image" || kind === "sysfs" ? recordingJson(image) : null,
    })),
  };
}

const recordingJson = ({ regions, irqs, resettable, host }: DeviceImage): unknown => ({
  regions: regions.map((region) => ({
    index: region.index,
    name: regionName(region.index),
    size: region.size,
    flags: regionWords(region),
    msixMappable: region.msixMappable,
    sparse: region.sparse ?? null,
    type: region.type ?? null,
    recordedBytes: (region.contents ?? []).reduce((total, { bytes }) => total + bytes.length, 0),
  })),
  irqs: irqs.map((irq) => ({
    index: irq.index,
    name: irqName(irq.index),
    count: irq.count,
    flags: irqWords(irq),
  })),
  resettable,
  host,
});

function deviceText(
  { bdf, image }: InputDevice,
  { malformations }: DecodedConfig,
  kind: Input["kind"],
  verbosity: Verbosity,
  style: Style,
): string {
  const [heading, ...rest] = configText(image.config, verbosity).trimEnd().split("\n");
  const lines = [`${bdf === undefined ? "" : `${style.bold(bdf)} `}${heading}`];
  if (kind === "image" || kind === "sysfs")
    lines.push(...image.regions.map((region) => regionLine(region)), ...irqLines(image));
  const leftOut = malformations
    .filter((found) => isLeftOut(found, image.config))
    .map(({ message }) => `\tMalformed: ${message}`);
  for (const line of rest) {
    const capability = /^\tCapabilities: \[\w+(?: v\d+)?\] /.exec(line)?.[0];
    if (leftOut.includes(line))
      lines.push(
        kind === "sysfs"
          ? `\tNote: without root Linux shows ${image.config.length} bytes of config space, and no capabilities`
          : `\tNote: capabilities are not in this dump of ${image.config.length} bytes`,
      );
    else if (/^\t(?:Malformed|Does not answer): /.test(line)) lines.push(style.bad(line));
    else if (capability) lines.push(capability + style.bold(line.slice(capability.length)));
    else lines.push(line);
  }
  return `${lines.join("\n")}\n`;
}

function regionLine(region: ImageRegion): string {
  const { index, size, sparse, type, msixMappable } = region;
  const words = [size === 0 ? "size unknown" : `size ${hex(size)}`, regionWords(region).join(" ")];
  if (msixMappable) words.push("MSI-X mappable");
  if (sparse)
    words.push(`sparse ${sparse.map(({ offset, size }) => `${hex(offset)}+${hex(size)}`).join(" ")}`);
  if (type) words.push(`type ${hex(type.type)}:${hex(type.subtype)}`);
  return `\tRegion ${regionName(index)}: ${words.filter((word) => word !== "").join(", ")}`;
}

function irqLines({ irqs }: DeviceImage): string[] {
  const counts = irqs.map(({ index, count }) => `${irqName(index)} ${count}`);
  return counts.length === 0 ? [] : [`\tInterrupts: ${counts.join(", ")}`];
}
