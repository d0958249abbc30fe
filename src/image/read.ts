import { ImageError, imageError, quote, type Problem } from "./error.ts";
import { imageFormat, maxImageBytes, newestFormat, type DeviceImage, type ImageRegion } from "./image.ts";
import { locate, parseJson, type Path } from "./json.ts";
import type { ImageFile } from "./schema.ts";
import { imageFileSchema } from "./schema-on-use.ts";
import { formatName } from "./schema-words.ts";

/**
 * Reads an image file.
 * @param file the whole file, as text or as its bytes in UTF-8, at most 64 MiB
 * @throws ImageError with line, column and path of each problem; TypeError if `file` is neither
 */
export function readImage(file: string | Uint8Array): DeviceImage {
  if (typeof file !== "string" && !(file instanceof Uint8Array))
    throw new TypeError(`an image file must be a string or a Uint8Array, not ${typeof file}`);
  if (file.length > maxImageBytes)
    throw imageError(`the file is larger than an image can be (${maxImageBytes} bytes)`);
  const text = typeof file === "string" ? new TextEncoder().encode(file) : file;
  const value = parseJson(text);
  checkFormat(text, value);
  const parsed = imageFileSchema().safeParse(value);
  if (parsed.success) return fromFile(parsed.data);
  // Each place costs one pass over the text: the problems that are shown get theirs, of a large file the first.
  const placed = text.length > 2 ** 20 ? 1 : 20;
  throw new ImageError(
    parsed.error.issues.map((issue, at): Problem => {
      const message = issue.message.length > 300 ? `${issue.message.slice(0, 300)}...` : issue.message;
      return { message, path: pathText(issue.path), ...(at < placed && locate(text, issue.path)) };
    }),
  );
}

/** Tells what is no image at all, or one of another format, before the schema lists every difference. */
function checkFormat(text: Uint8Array, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw imageError("not an image: expected a JSON object", { line: 1, column: 1 });
  const { format, version } = value as { format?: unknown; version?: unknown };
  if (format !== formatName)
    throw imageError(
      typeof format === "string"
        ? `not an image: its format is ${quote(format)}, not "${formatName}"`
        : `not an image: there is no "format": "${formatName}"`,
      locate(text, ["format"]),
    );
  if (typeof version === "number" && version > newestFormat)
    throw imageError(
      `written by a newer bun-vfio (format ${version}; this one reads ${newestFormat}): update bun-vfio`,
      { path: "version", ...locate(text, ["version"]) },
    );
}

const pathText = (path: Path): string =>
  path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : at === 0 ? String(key) : `.${String(key)}`))
    .join("");

/** The image that a checked file describes, in canonical order. */
export function fromFile(file: ImageFile): DeviceImage {
  const byIndex = (a: { index: number }, b: { index: number }): number => a.index - b.index;
  return {
    version: file.unknown ? newestFormat : imageFormat,
    bdf: file.bdf,
    config: file.config,
    regions: file.regions
      .map((region): ImageRegion => {
        const { index, size, flags, msixMappable, sparse, type, contents } = region;
        return {
          index,
          size,
          readable: flags.includes("read"),
          writable: flags.includes("write"),
          mappable: flags.includes("mmap"),
          msixMappable,
          ...(sparse && { sparse }),
          ...(type && { type }),
          ...(contents && { contents }),
        };
      })
      .sort(byIndex),
    irqs: file.irqs
      .map(({ index, count, flags }) => ({
        index,
        count,
        eventfd: flags.includes("eventfd"),
        maskable: flags.includes("maskable"),
        automasked: flags.includes("automasked"),
        noResize: flags.includes("noresize"),
      }))
      .sort(byIndex),
    ...(file.readOnlyBits && { readOnlyBits: file.readOnlyBits }),
    ...(file.writable && { writable: file.writable }),
    ...(file.keptByReset && { keptByReset: file.keptByReset }),
    ...(file.unknown && { unknown: file.unknown }),
    resettable: file.resettable,
    host: file.host,
  };
}
