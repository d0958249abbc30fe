// What the commands read: an image, a dump, a raw config space, or a device of this host, device by device.
import { existsSync } from "node:fs";
import { recordFromSysfs } from "../device/host/sysfs-recorder.ts";
import { headerFault, imageFromConfig } from "../image/defaults.ts";
import { ImageError } from "../image/error.ts";
import { knownConfig, maxImageBytes, type DeviceImage, type ImageUnknowns } from "../image/image.ts";
import { decodeText } from "../image/lines.ts";
import { LspciText, noDevice, type LspciDevice, type SkippedText } from "../image/lspci-text.ts";
import { readImage } from "../image/read.ts";
import { utf16Source } from "../image/utf16.ts";
import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { FileSource, inputName } from "./byte-source.ts";
import { CliError, firstProblem } from "./failure.ts";
import { binaryText, fileKind, textKind } from "./file-kind.ts";
import { findDevice, sysroot, namesDevice } from "./host.ts";

export interface Input {
  /** As it reads in messages. */
  readonly path: string;
  /** `config`: the raw bytes of a config space, as sysfs gives them; `sysfs`: a device of this host. */
  readonly kind: "image" | "lspci" | "config" | "sysfs";
  /** Those that were asked for, at least one, as they are read: once, and never all of them in memory. */
  readonly devices: Iterable<InputDevice>;
  /** Of a text, what was left out; complete when the devices end. */
  readonly skipped?: SkippedText | undefined;
}
export interface InputDevice {
  /** Undefined for a raw config space that nothing says the place of. */
  readonly bdf: string | undefined;
  /** 64, 256 or 4096 bytes; what is unknown of them is 0. */
  readonly config: Uint8Array;
  /** The bytes of `config` up to where nothing more is known. */
  readonly known: Uint8Array;
  readonly unknown: ImageUnknowns | undefined;
  /** Of a device that is not of an image, what can be told from its config space. Made when it is asked for. */
  readonly image: DeviceImage;
  /** Why there is no `image`: it is not to be asked for. */
  readonly noImage?: string | undefined;
  /** Of a device of this host: where the host has it. */
  readonly place?: { readonly iommuGroup: number | undefined; readonly numaNode: number | undefined };
}

const kinds = "an image, the output of lspci -xxxx, or a raw config space";

/** A BDF that the user gave, in full. @throws CliError */
export function bdfArgument(text: string): string {
  try {
    return formatBdf(parseBdf(text));
  } catch (error) {
    throw new CliError(`--device: ${(error as Error).message}`);
  }
}

/** What is no file, but a device of this host, or written as one is: a BDF, `vendor:device`, `eth0`, `/dev/nvme0n1`. */
export const isLive = (path: string): boolean =>
  (path.startsWith("/dev/") || !existsSync(path)) && namesDevice(sysroot(), path);

/**
 * Opens a file and finds out what it is, or the device of this host that is named instead of one.
 * @param path `-` is standard input
 * @param device the BDF to take of a dump; for a raw config space, the BDF that it has
 * @throws CliError that names the file, the place in it, and what to do; so does going through the devices
 */
export function openInput(path: string, device?: string): Input {
  const wanted = device === undefined ? undefined : bdfArgument(device);
  if (path !== "-" && isLive(path)) return readLive(path, wanted);
  return readInput(new FileSource(path), wanted);
}

/** The same of a file that is open already, and is closed with this. @param wanted a BDF in full */
export function readInput(source: FileSource, wanted: string | undefined): Input {
  const { path } = source;
  const name = inputName(path);
  const { bytes, whole } = source.head();
  if (bytes.length === 0) throw new CliError(`${name}: the file is empty; expected ${kinds}`);
  const kind = fileKind(bytes, whole);
  switch (kind) {
    case "config": {
      using _ = source;
      return readConfig(name, path, bytes.slice(), wanted);
    }
    case "binary":
      throw new CliError(`${name}: ${binaryText(bytes, whole)}`);
    case "json":
      return oneDevice(name, "image", fromImage(named(name, () => readImage(wholeFile(source)))), wanted);
    default: {
      const dump = new LspciText(kind === "text" ? source.read : utf16Source(source.read, kind));
      const looks = textKind(bytes);
      return {
        path: name,
        kind: "lspci",
        devices: select(name, dumped(name, source, dump, looks), wanted),
        skipped: dump.skipped,
      };
    }
  }
}

function wholeFile(source: FileSource): Uint8Array {
  using file = source;
  return file.all(maxImageBytes, "an image");
}

/** Reads a text of lines, each as it comes. @throws CliError for what is no text */
export function openText(path: string, what: string): FileSource {
  const source = new FileSource(path);
  const { bytes } = source.head();
  if (!bytes.includes(0)) return source;
  source[Symbol.dispose]();
  throw new CliError(`${inputName(path)}: not text; expected ${what}`);
}

/** A whole file as text. @param limit in bytes @throws CliError for what is no text, or longer */
export function readText(path: string, what: string, limit = maxImageBytes): string {
  using file = openText(path, what);
  return decodeText(file.all(limit, what));
}

/** Says which file it is that cannot be used. */
function named<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${name}: ${firstProblem(error)}`);
    throw error;
  }
}

function* dumped(
  name: string,
  source: FileSource,
  dump: LspciText,
  looks: string | undefined,
): Generator<InputDevice> {
  using _ = source;
  let some = false;
  for (const device of dump.devices()) {
    some = true;
    yield new DumpedDevice(device);
  }
  if (some) return;
  const { lines, early, ...others } = dump.skipped;
  if (Object.values(others).every(({ count }) => count === 0))
    throw new CliError(
      `${name}: no device in it${looks === undefined ? "" : `: it looks like ${looks}`}; expected ${kinds}`,
    );
  named(name, () => {
    throw noDevice(dump.skipped);
  });
}

/** What lspci takes for the name of a slot may be none. */
function bdfFault(bdf: string): string | undefined {
  try {
    parseBdf(bdf);
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^.* is no BDF: /, "");
  }
}

class DumpedDevice implements InputDevice {
  readonly bdf: string;
  readonly config: Uint8Array;
  readonly known: Uint8Array;
  readonly unknown: ImageUnknowns | undefined;
  readonly noImage: string | undefined;
  readonly #title: string;
  #image: DeviceImage | undefined;

  constructor({ bdf, config, title, unknown }: LspciDevice) {
    this.bdf = bdf;
    this.config = config;
    this.unknown = unknown;
    this.known = knownConfig(config, unknown?.config);
    this.noImage = bdfFault(bdf) ?? headerFault(this.known);
    this.#title = title;
  }

  get image(): DeviceImage {
    const notes = ["from the output of lspci", ...(this.#title === "" ? [] : [this.#title])];
    return (this.#image ??= imageFromConfig(this.bdf, this.config, { notes }, this.unknown?.config));
  }
}

function fromImage(image: DeviceImage, bdf: string | undefined = image.bdf): InputDevice {
  const { config, unknown } = image;
  return { bdf, config, known: knownConfig(config, unknown?.config), unknown, image };
}

function oneDevice(
  path: string,
  kind: Input["kind"],
  device: InputDevice,
  wanted: string | undefined,
): Input {
  return { path, kind, devices: [...select(path, [device], wanted)] };
}

function readLive(path: string, wanted: string | undefined): Input {
  const files = sysroot();
  const device = findDevice(files, path);
  const image = named(device.bdf, () => recordFromSysfs(files, device));
  return oneDevice(path, "sysfs", { ...fromImage(image), place: device }, wanted);
}

function readConfig(name: string, path: string, bytes: Uint8Array, wanted: string | undefined): Input {
  // In sysfs the directory is named after the device, and copies mostly are.
  const told = /[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?!.*[0-9a-f]{4,8}:[0-9a-f]{2}:)/i.exec(
    path,
  )?.[0];
  const bdf = wanted ?? (told === undefined ? undefined : formatBdf(parseBdf(told)));
  const image = named(name, () =>
    imageFromConfig(bdf ?? "0000:00:00.0", bytes, { notes: ["from a raw config space"] }),
  );
  return { path: name, kind: "config", devices: [{ ...fromImage(image), bdf }] };
}

/** BDFs that are named where the wanted one is not there. */
const namedDevices = 8;

function* select(
  path: string,
  devices: Iterable<InputDevice>,
  wanted: string | undefined,
): Generator<InputDevice> {
  const others: (string | undefined)[] = [];
  let count = 0;
  let found = false;
  for (const device of devices) {
    if (wanted === undefined || device.bdf === wanted) {
      found = true;
      yield device;
    } else if (count++ < namedDevices) others.push(device.bdf);
  }
  if (found) return;
  if (count > namedDevices) others.push(`${count - namedDevices} more`);
  throw new CliError(`${path}: no device ${wanted}; it has ${others.join(", ")}`);
}
