import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { recordFromSysfs } from "../device/host/sysfs-recorder.ts";
import { imageFromConfig } from "../image/defaults.ts";
import { ImageError } from "../image/error.ts";
import { configSizes, maxImageBytes, type DeviceImage } from "../image/image.ts";
import { looksLikeLspci, readLspci } from "../image/lspci-text.ts";
import { readImage } from "../image/read.ts";
import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { CliError, firstProblem } from "./failure.ts";
import { findDevice, hostFiles, namesDevice } from "./host.ts";

export interface Input {
  readonly path: string;
  /** `config`: the raw bytes of a config space, as sysfs gives them; `sysfs`: a device of this host. */
  readonly kind: "image" | "lspci" | "config" | "sysfs";
  readonly devices: readonly InputDevice[];
}
export interface InputDevice {
  /** Undefined for a raw config space that nothing says the place of. */
  readonly bdf: string | undefined;
  readonly image: DeviceImage;
}

const kinds = "an image, the output of lspci -xxxx, or a raw config space";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file; check the path",
  EACCES: "permission denied; read it as a user who may, or copy it",
  EPERM: "permission denied; read it as a user who may, or copy it",
  EISDIR: "it is a directory; give one of its files",
  ENOTDIR: "a part of its path is no directory; check the path",
  ELOOP: "its symbolic links go in a circle; check the path",
  ENAMETOOLONG: "the name is too long; check the path",
};

/** All bytes of a file of any kind, up to 64 MiB. @throws CliError */
export function readBytes(path: string): Uint8Array {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const chunks: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const chunk = new Uint8Array(65536);
      const taken = readSync(fd, chunk);
      if (taken === 0) return Buffer.concat(chunks);
      total += taken;
      if (total > maxImageBytes)
        throw new CliError(`${path}: more than ${maxImageBytes} bytes; expected ${kinds}`);
      chunks.push(chunk.subarray(0, taken));
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(`${path}: cannot read it: ${reasons[code ?? ""] ?? message}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** A file as text. @throws CliError if it cannot be read or is not UTF-8 text */
export function readText(path: string, what: string): string {
  const text = textOf(readBytes(path));
  if (text === undefined) throw new CliError(`${path}: not text; expected ${what}`);
  return text;
}

/** A BDF that the user gave, in full. @throws CliError */
export function bdfArgument(text: string): string {
  try {
    return formatBdf(parseBdf(text));
  } catch (error) {
    throw new CliError(`--device: ${(error as Error).message}`);
  }
}

/** What is no file, but a device of this host, or written as one is: a BDF, `vendor:device`, `eth0`, `/dev/nvme0n1`. */
const isLive = (path: string): boolean =>
  (path.startsWith("/dev/") || !existsSync(path)) && namesDevice(hostFiles(), path);

/**
 * Reads a file and finds out what it is, or the device of this host that is named instead of one.
 * @param device the BDF to take of a dump; for a raw config space, the BDF that it has
 * @throws CliError that names the file, the place in it, and what to do
 */
export function readInput(path: string, device?: string): Input {
  const wanted = device === undefined ? undefined : bdfArgument(device);
  if (isLive(path)) return readLive(path, wanted);
  const bytes = readBytes(path);
  if (bytes.length === 0) throw new CliError(`${path}: the file is empty; expected ${kinds}`);
  const text = textOf(bytes);
  try {
    if (text === undefined) return readConfig(path, bytes, wanted);
    if (/^\s*[{[]/.test(text)) {
      const image = readImage(text);
      return select({ path, kind: "image", devices: [{ bdf: image.bdf, image }] }, wanted);
    }
    if (!looksLikeLspci(text)) throw new CliError(`${path}: no device in it; expected ${kinds}`);
    const devices = readLspci(text).map(({ bdf, title, config }): InputDevice => {
      const notes = ["from the output of lspci", ...(title === "" ? [] : [title.slice(0, 1000)])];
      return { bdf, image: imageFromConfig(bdf, config, { notes }) };
    });
    return select({ path, kind: "lspci", devices }, wanted);
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${path}: ${firstProblem(error)}`);
    throw error;
  }
}

function readLive(path: string, wanted: string | undefined): Input {
  const files = hostFiles();
  const device = findDevice(files, path);
  try {
    const image = recordFromSysfs(files, device);
    return select({ path, kind: "sysfs", devices: [{ bdf: device.bdf, image }] }, wanted);
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${device.bdf}: ${firstProblem(error)}`);
    throw error;
  }
}

function readConfig(path: string, bytes: Uint8Array, wanted: string | undefined): Input {
  if (!configSizes.includes(bytes.length))
    throw new CliError(
      `${path}: ${bytes.length} bytes that are no text; a raw config space has 64, 256 or 4096 bytes, so this one is cut off or something else`,
    );
  // In sysfs the directory is named after the device, and copies mostly are.
  const named = /[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?!.*[0-9a-f]{4,8}:[0-9a-f]{2}:)/i.exec(
    path,
  )?.[0];
  const bdf = wanted ?? (named === undefined ? undefined : formatBdf(parseBdf(named)));
  const image = imageFromConfig(bdf ?? "0000:00:00.0", bytes, { notes: ["from a raw config space"] });
  return { path, kind: "config", devices: [{ bdf, image }] };
}

function select(input: Input, wanted: string | undefined): Input {
  if (wanted === undefined) return input;
  const devices = input.devices.filter(({ bdf }) => bdf === wanted);
  if (devices.length > 0) return { ...input, devices };
  const some = input.devices.slice(0, 8).map(({ bdf }) => bdf);
  if (some.length < input.devices.length) some.push(`${input.devices.length - some.length} more`);
  throw new CliError(`${input.path}: no device ${wanted}; it has ${some.join(", ")}`);
}

/** UTF-8 without control characters but blanks; undefined for anything else. */
function textOf(bytes: Uint8Array): string | undefined {
  for (const byte of bytes)
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
