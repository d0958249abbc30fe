import { irqName } from "../regs/vfio/irqs.ts";
import { regionName } from "../regs/vfio/regions.ts";
import { areasText } from "../image/defaults.ts";
import type { DeviceImage, ImageArea, ImageRegion } from "../image/image.ts";
import { allOnesText, readsAllOnes } from "../regs/answers.ts";
import { diffConfig, type ConfigDifference } from "../regs/diff.ts";
import type { DecodedValue, DecodeFormat } from "../regs/decode.ts";
import { contentDifferences, loadMaps, type ContentDifference } from "./diff-contents.ts";
import { CliError, exitCode } from "./failure.ts";
import { openInput, type Input, type InputDevice } from "./input.ts";
import { JsonList } from "./json-list.ts";
import { knownOfBoth } from "./known-of-both.ts";
import { print, tell } from "./output.ts";
import { pairDevices } from "./pair-devices.ts";
import { printable } from "../regs/printable.ts";
import { irqWords, regionWords } from "./region-words.ts";
import { noteSkipped } from "./skipped-note.ts";
import { styleOf, type Style } from "./style.ts";
import { hex, hexDigits } from "../regs/hex-text.ts";

export interface DiffOptions {
  readonly json?: boolean | undefined;
  /** Of the JSON: 2 without it. */
  readonly formatVersion?: DecodeFormat | undefined;
  readonly device?: string | undefined;
  /** A module with register maps of BARs. */
  readonly map?: string | undefined;
  readonly color: boolean;
}

/** What VFIO said of two recordings and differs; null where one of them does not have it. */
interface RecordingDifference {
  readonly where: string;
  readonly what: string;
  readonly from: string | null;
  readonly to: string | null;
}
interface DeviceDifference {
  readonly from: InputDevice;
  readonly to: InputDevice;
  /** Bytes of config space that one of them alone knows. */
  readonly notCompared: readonly ImageArea[];
  readonly config: readonly ConfigDifference[];
  readonly recording: readonly RecordingDifference[];
  readonly contents: readonly ContentDifference[];
}

/**
 * Prints what differs between two files, each device once it is read from both.
 * @returns 1 if anything does, or if a device does not answer
 */
export function diffCommand(first: string, second: string, options: DiffOptions): number {
  if (first === "-" && second === "-") throw new CliError("standard input can be one of the two files alone");
  const a = openInput(first, options.device);
  const b = openInput(second, options.device);
  const { formatVersion = 2 } = options;
  const maps = options.map === undefined ? {} : loadMaps(options.map);
  const printer = options.json ? new DiffJson(formatVersion) : new DiffText(a, b, styleOf(options.color));
  let found = false;
  for (const pair of pairDevices(a, b)) {
    if (pair.kind !== "both") {
      found = true;
      printer.single(pair.kind, pair.bdf);
      continue;
    }
    const { from, to } = pair;
    const images = a.kind === "image" && b.kind === "image";
    const known = knownOfBoth(from, to);
    const device: DeviceDifference = {
      from,
      to,
      notCompared: known.notCompared,
      config: diffConfig(known.from, known.to, formatVersion),
      recording: images ? recordingDiff(from.image, to.image) : [],
      contents: images ? contentDifferences(from.image, to.image, maps) : [],
    };
    const different =
      device.config.length + device.recording.length + device.contents.length > 0 || gone(device).length > 0;
    found ||= different;
    if (known.notCompared.length > 0)
      tell(
        `note: ${to.bdf ?? b.path}: not compared, since one side has no bytes there: ${areasText(known.notCompared)}`,
      );
    printer.device(device, different);
  }
  printer.end();
  noteSkipped(a);
  noteSkipped(b);
  return found ? exitCode.found : exitCode.ok;
}

/** Those of the two that do not answer. Two config spaces of all ones are alike, and no device is well for it. */
const gone = ({ from, to }: DeviceDifference): InputDevice[] =>
  [from, to].filter((device) => !answers(device));
const answers = ({ known, unknown }: InputDevice): boolean => !readsAllOnes(known, unknown?.config);

class DiffJson {
  readonly #formatVersion: DecodeFormat;
  readonly #list: JsonList;
  readonly #onlyFirst: string[] = [];
  readonly #onlySecond: string[] = [];

  constructor(formatVersion: DecodeFormat) {
    this.#formatVersion = formatVersion;
    this.#list = new JsonList({ formatVersion }, "devices");
  }

  device({ from, to, notCompared, config, recording, contents }: DeviceDifference): void {
    this.#list.add({
      from: from.bdf ?? null,
      to: to.bdf ?? null,
      answers: { from: answers(from), to: answers(to) },
      config,
      recording,
      ...(this.#formatVersion === 2 && { contents, notCompared }),
    });
  }

  single(side: "first" | "second", bdf: string): void {
    (side === "first" ? this.#onlyFirst : this.#onlySecond).push(bdf);
  }

  end(): void {
    this.#list.end({ onlyFirst: this.#onlyFirst, onlySecond: this.#onlySecond });
  }
}

class DiffText {
  readonly #first: string;
  readonly #second: string;
  readonly #style: Style;

  constructor(a: Input, b: Input, style: Style) {
    this.#first = printable(a.path);
    this.#second = printable(b.path);
    this.#style = style;
  }

  device(device: DeviceDifference, different: boolean): void {
    if (!different) return;
    for (const line of deviceLines(this.#first, this.#second, device, this.#style)) print(`${line}\n`);
  }

  single(side: "first" | "second", bdf: string): void {
    const line =
      side === "first"
        ? this.#style.bad(`- ${bdf}: only in ${this.#first}`)
        : this.#style.good(`+ ${bdf}: only in ${this.#second}`);
    print(`${line}\n`);
  }

  end(): void {}
}

/** Each fact by its name; one that does not hold is empty. */
type Facts = Readonly<Record<string, string>>;

function regionFacts(region: ImageRegion): Facts {
  const { size, msixMappable, sparse = [], type, contents = [] } = region;
  const recorded = new Bun.CryptoHasher("sha256");
  for (const { offset, bytes } of contents) recorded.update(`${offset} ${bytes.length} `).update(bytes);
  return {
    size: hex(size),
    flags: regionWords(region).join(" "),
    "msix-mappable": msixMappable ? "yes" : "",
    sparse: sparse.map((area) => `${hex(area.offset)}+${hex(area.size)}`).join(" "),
    type: type ? `${hex(type.type)}:${hex(type.subtype)}` : "",
    contents: contents.length === 0 ? "" : recorded.digest("hex").slice(0, 16),
  };
}

function recordingDiff(from: DeviceImage, to: DeviceImage): RecordingDifference[] {
  const facts = ({ regions, irqs, resettable }: DeviceImage): Map<string, Facts> =>
    new Map<string, Facts>([
      ...regions.map((region): [string, Facts] => [regionName(region.index), regionFacts(region)]),
      ...irqs.map((irq): [string, Facts] => [
        irqName(irq.index),
        { count: String(irq.count), flags: irqWords(irq).join(" ") },
      ]),
      ["device", { resettable: String(resettable) }],
    ]);
  const before = facts(from);
  const after = facts(to);
  const found: RecordingDifference[] = [];
  for (const where of new Set([...before.keys(), ...after.keys()])) {
    const old = before.get(where);
    const now = after.get(where);
    for (const what of Object.keys(old ?? now ?? {})) {
      const [from, to] = [old?.[what] || null, now?.[what] || null];
      if (from !== to) found.push({ where, what, from, to });
    }
  }
  return found;
}

function deviceLines(first: string, second: string, device: DeviceDifference, style: Style): string[] {
  const name = (path: string, bdf: string | undefined): string =>
    bdf === undefined ? path : `${path} ${bdf}`;
  const lines = [
    style.bold(`--- ${name(first, device.from.bdf)}`),
    style.bold(`+++ ${name(second, device.to.bdf)}`),
    ...gone(device).map((which) =>
      style.bad(`${which === device.from ? "---" : "+++"} does not answer: ${allOnesText}`),
    ),
  ];
  let where = "";
  const change = (text: string, from: string, to: string): string =>
    `  ${text}: ${style.bad(from)} -> ${style.good(to)}`;
  for (const difference of device.config) {
    if (difference.kind === "field" && difference.where !== where) lines.push((where = difference.where));
    lines.push(configLine(difference, change, style));
  }
  for (const { where, what, from, to } of device.recording)
    lines.push(change(`${where} ${what}`, from ?? "none", to ?? "none").slice(2));
  for (const { where, differences } of device.contents)
    lines.push(
      where,
      ...differences.map((difference) => `  ${configLine(difference, change, style).trimStart()}`),
    );
  return lines;
}

function configLine(
  difference: ConfigDifference,
  change: (text: string, from: string, to: string) => string,
  style: Style,
): string {
  switch (difference.kind) {
    case "size":
      return change("config space", `${difference.from} bytes`, `${difference.to} bytes`).slice(2);
    case "added":
      return style.good(`+ ${difference.where}`);
    case "removed":
      return style.bad(`- ${difference.where}`);
    case "moved":
      return change(`${difference.name} moved`, hex(difference.from ?? 0), hex(difference.to ?? 0)).slice(2);
    case "bytes":
      return change(
        `bytes [${offset(difference.offset)}]`,
        bytes(difference.from),
        bytes(difference.to),
      ).slice(2);
    case "field": {
      const text = (value: DecodedValue | null): string => valueText(value, difference.hex, difference.width);
      const line = change(
        `[${offset(difference.offset)}] ${difference.label}`,
        text(difference.from),
        text(difference.to),
      );
      return `${line} ${style.dim(`(${difference.access})`)}`;
    }
  }
}

const offset = (at: number): string => hexDigits(at, 2);

function bytes(digits: string): string {
  const shown = digits.slice(0, 32).match(/../g)!.join(" ");
  return digits.length > 32 ? `${shown} ... (${digits.length / 2} bytes)` : shown;
}

function valueText(value: DecodedValue | null, isHex: boolean, width: number): string {
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "+" : "-";
  return typeof value === "number" && isHex ? hex(value, Math.ceil(width / 4)) : String(value);
}
