import { jsonText } from "./json-text.ts";
import { ImageError, imageError } from "./error.ts";
import { hexBytes, hexRow } from "./hex.ts";
import { irqName } from "../regs/vfio/irqs.ts";
import { regionName } from "../regs/vfio/regions.ts";
import {
  imageFormat,
  maxImageBytes,
  newestFormat,
  type ConfigBits,
  type ContentBlock,
  type DeviceImage,
  type ImageArea,
} from "./image.ts";
import { imageFileSchema } from "./schema-on-use.ts";
import { contentLine, formatName } from "./schema-words.ts";
import { hex } from "../regs/hex-text.ts";

/** Blocks of contents above this many bytes are written as base64: nobody reads them, and it takes half the space. */
const hexLimit = 65536;
/** Columns: what fits stands in one line. The formatter of this project leaves such a file as it is. */
const width = 110;

/**
 * Writes an image file: the same image gives the same bytes, and `readImage` gives the same image back.
 * @throws ImageError for an image that could not be read back
 */
export function writeImage(image: DeviceImage): string {
  const file = toFile(image);
  const checked = imageFileSchema().safeParse(file);
  if (!checked.success)
    throw new ImageError(
      checked.error.issues.map(({ message, path }) => ({ message, path: path.map(String).join(".") })),
    );
  const text = `${layOut(file, 0, 0)}\n`;
  if (text.length > maxImageBytes)
    throw imageError(`the image takes ${text.length} bytes; an image file has at most ${maxImageBytes}`);
  return text;
}

const byIndex = (a: { index: number }, b: { index: number }): number => a.index - b.index;
const byOffset = (a: { offset: number }, b: { offset: number }): number => a.offset - b.offset;
const flags = (given: Readonly<Record<string, boolean>>): string[] =>
  Object.keys(given).filter((key) => given[key]);

function toFile(image: DeviceImage): unknown {
  const { kernel, iommu, driver, notes } = image.host;
  return {
    format: formatName,
    version: image.unknown ? newestFormat : imageFormat,
    bdf: image.bdf,
    host: {
      ...(kernel !== undefined && { kernel }),
      ...(iommu !== undefined && { iommu }),
      ...(driver !== undefined && { driver }),
      ...(notes && { notes }),
    },
    resettable: image.resettable,
    irqs: [...image.irqs].sort(byIndex).map(({ index, count, eventfd, maskable, automasked, noResize }) => ({
      index,
      name: irqName(index),
      count,
      flags: flags({ eventfd, maskable, automasked, noresize: noResize }),
    })),
    regions: [...image.regions].sort(byIndex).map((region) => ({
      index: region.index,
      name: regionName(region.index),
      size: hex(region.size),
      flags: flags({ read: region.readable, write: region.writable, mmap: region.mappable }),
      ...(region.msixMappable && { msixMappable: true }),
      ...(region.sparse && { sparse: region.sparse.map(areaToFile) }),
      ...(region.type && { type: { type: region.type.type, subtype: region.type.subtype } }),
      ...(region.contents && { contents: region.contents.map(blockToFile) }),
    })),
    config: { size: image.config.length, lines: configLines(image.config) },
    ...(image.readOnlyBits && { readOnlyBits: bitsToFile(image.readOnlyBits) }),
    ...(image.writable && { writable: [...image.writable].sort(byOffset).map(areaToFile) }),
    ...(image.keptByReset && { keptByReset: bitsToFile(image.keptByReset) }),
    ...(image.unknown && {
      unknown: {
        ...(image.unknown.config && { config: image.unknown.config.map(areaToFile) }),
        ...(image.unknown.irqs && { irqs: image.unknown.irqs }),
      },
    }),
  };
}

const areaToFile = ({ offset, size }: ImageArea): unknown => ({ offset: hex(offset), size: hex(size) });
const bitsToFile = (bits: readonly ConfigBits[]): unknown[] =>
  [...bits].sort(byOffset).map(({ offset, mask }) => ({ offset: hex(offset), mask: hex(mask) }));

/** Rows of 16 bytes; those that hold zeros alone are left out. */
function configLines(config: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < config.length; at += 16) {
    const row = config.subarray(at, at + 16);
    if (row.some((byte) => byte !== 0)) lines.push(hexRow(at, row));
  }
  return lines;
}

function blockToFile({ offset, bytes }: ContentBlock): unknown {
  if (bytes.length > hexLimit) return { offset: hex(offset), base64: bytes.toBase64() };
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += contentLine)
    lines.push(hexBytes(bytes.subarray(at, at + contentLine)));
  return { offset: hex(offset), hex: lines };
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** JSON with what fits in one line on one line. `used`: columns that the key before the value takes. */
function layOut(value: unknown, indent: number, used: number): string {
  if (!isObject(value)) return jsonText(value);
  if (indent > 0) {
    const line = flat(value);
    if (line !== undefined && indent + used + line.length < width) return line;
  }
  const list = Array.isArray(value);
  const pad = " ".repeat(indent);
  const rows = Object.entries(value).map(([name, element]) => {
    const key = list ? "" : `${jsonText(name)}: `;
    return `${pad}  ${key}${layOut(element, indent + 2, key.length)}`;
  });
  return `${list ? "[" : "{"}\n${rows.join(",\n")}\n${pad}${list ? "]" : "}"}`;
}

/** One line, or undefined for what is never written as one: a list of several objects, or a long one. */
function flat(value: unknown): string | undefined {
  if (!isObject(value)) return jsonText(value);
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return list ? "[]" : "{}";
  if (entries.length > width || (list && entries.length > 1 && isObject(value[0]))) return undefined;
  const parts: string[] = [];
  for (const [name, element] of entries) {
    const part = flat(element);
    if (part === undefined) return undefined;
    parts.push(list ? part : `${jsonText(name)}: ${part}`);
  }
  return list ? `[${parts.join(", ")}]` : `{ ${parts.join(", ")} }`;
}
