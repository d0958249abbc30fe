// What a file is, told by its first bytes.
import { isFlight } from "../device/replay/flight-format.ts";
import { loggedLine } from "../image/bare-line.ts";
import { configSizes } from "../image/image.ts";
import { innerLines } from "../image/inner-lines.ts";
import { formatName } from "../image/schema-words.ts";

/** `json`: an image if anything, and no log whose records are JSON; `config`: the raw bytes of a config space; `text`: what may hold a dump. */
export type FileKind = "json" | "config" | "text" | "utf-16le" | "utf-16be" | "binary";

const nul = 0;
/** First bytes of what people have at hand beside a dump. */
const magics: readonly (readonly [bytes: readonly number[], name: string])[] = [
  [[0x1f, 0x8b], "compressed by gzip: decompress it first"],
  [[0x28, 0xb5, 0x2f, 0xfd], "compressed by zstd: decompress it first"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "compressed by xz: decompress it first"],
  [[0x42, 0x5a, 0x68], "compressed by bzip2: decompress it first"],
  [[0x50, 0x4b, 0x03, 0x04], "a ZIP archive: unpack it first"],
  [[0x7f, 0x45, 0x4c, 0x46], "an ELF program"],
  [[0x89, 0x50, 0x4e, 0x47], "a picture: the text itself is needed"],
  [[0xff, 0xd8, 0xff], "a picture: the text itself is needed"],
  [[0x25, 0x50, 0x44, 0x46], "a PDF file: the text itself is needed"],
];

const starts = (head: Uint8Array, magic: readonly number[]): boolean =>
  magic.every((byte, at) => head[at] === byte);

/** @param head the first bytes @param whole whether there are no others */
export function fileKind(head: Uint8Array, whole: boolean): FileKind {
  if (starts(head, [0xff, 0xfe]) && head[2] !== 0xff) return "utf-16le";
  if (starts(head, [0xfe, 0xff]) && head[2] === nul) return "utf-16be";
  const isConfig = whole && configSizes.includes(head.length);
  // No config space holds a line's end but no other byte as low, and no text a zero.
  if (isConfig && (head.includes(nul) || !head.includes(0x0a))) return "config";
  if (head.includes(nul) || magics.some(([magic]) => starts(head, magic))) return "binary";
  const [firstLine = ""] = latin1(head, head.length).split("\n", 1);
  if (loggedLine(firstLine) !== undefined) return "text";
  const isJson = /^\ufeff?\s*(?:\{\s*["}]|\[\s*(?:[[{\]]|(?:-?\d+|true|false|null)\s*,))/.test(
    latin1(head, 4096),
  );
  if (!isJson) return "text";
  // A dump may stand in a string of a JSON; in one of an image it is a note.
  const text = latin1(head, head.length);
  return text.includes(formatName) || innerLines(text) === undefined ? "json" : "text";
}

/** What a file that is no text is, as far as its first bytes tell. */
export function binaryText(head: Uint8Array, whole: boolean): string {
  if (isFlight(head))
    return "it is a flight recorder's file: bun-vfio trace prints it, replay and view take it alone";
  const named = magics.find(([magic]) => starts(head, magic))?.[1];
  const size = whole ? String(head.length) : `more than ${head.length}`;
  return named !== undefined
    ? `it is ${named}`
    : `${size} bytes that are no text; a raw config space has 64, 256 or 4096 bytes, so this one is cut off or something else`;
}

/** What a text without a device looks like; undefined where nothing tells. */
export function textKind(head: Uint8Array): string | undefined {
  const text = latin1(head, 16384);
  if (/^<\?xml|^<!doctype|^<html/i.test(text)) return "a page or an XML file";
  if (/^(?:<\d+>)?\[ *\d+\.\d+\]|\bkernel: /m.test(text)) return "a kernel log";
  if (/^(?:From|Received|Return-Path|Message-ID|Subject): /m.test(text)) return "a mail";
  if (/^(?:0x[0-9a-f]{16} ){2}0x[0-9a-f]{16}$/m.test(text)) return "the `resource` file of a device in sysfs";
  if (/^(?:read|write)\s+(?:0x)?[0-9a-f]+\s+(?:0x)?[0-9a-f]+\s*$/im.test(text)) return "an access list";
  if (/^[ \t]*[-+\\|]-(?:\[[0-9a-f:-]+\]|[0-9a-f]{2}\.[0-7])/im.test(text)) return "what lspci -t prints";
  if (/^Slot:\t/m.test(text)) return "what lspci -vmm prints";
  return undefined;
}

const latin1 = (bytes: Uint8Array, limit: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, limit)).toString("latin1");
