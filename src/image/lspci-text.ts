import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { imageError, quote } from "./error.ts";
import { looksLikeRow, parseHexRow } from "./hex.ts";
import { configSizes, maxImageBytes } from "./image.ts";

/** One device of an lspci dump. */
export interface LspciDevice {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** What the first line says after the BDF. */
  readonly title: string;
  /** Line of the BDF, counted from 1. */
  readonly line: number;
  /** 64, 256 or 4096 bytes. */
  readonly config: Uint8Array;
}

const heading = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])(?:\s+(.*))?$/i;
/** What the tool may say of itself between the lines that matter. */
const chatter = /^(?:lspci|pcilib): /;
const cardbus = 2;

/** Whether text has a line that begins as a device of an lspci dump does. */
export const looksLikeLspci = (text: string): boolean =>
  /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?:\s|$)/im.test(text);

/**
 * Reads what `lspci -x`, `-xxx` or `-xxxx` prints, of any number of devices, with or without `-v`.
 * @throws ImageError that names the line: a line that belongs to nothing, a row that is wrong or missing,
 * a device twice or without a dump
 */
export function readLspci(text: string): LspciDevice[] {
  if (text.length > maxImageBytes) throw imageError(`the text is larger than ${maxImageBytes} bytes`);
  const devices: LspciDevice[] = [];
  const seen = new Map<string, number>();
  let current: { bdf: string; title: string; line: number; rows: Uint8Array[] } | undefined;
  let line = 0;
  // Of the text read so far, the last line that is not empty.
  let last = 0;

  const finish = (): void => {
    if (!current) return;
    const { bdf, title, rows } = current;
    devices.push({ bdf, title, line: current.line, config: configOf(bdf, rows, current.line, last) });
    current = undefined;
  };

  for (const raw of linesOf(text)) {
    line++;
    const content = raw.trimEnd();
    if (content === "" || heading.test(content)) finish();
    if (content === "") continue;
    last = line;
    const head = heading.exec(content);
    if (head) {
      const bdf = bdfAt(head[1]!, line);
      const before = seen.get(bdf);
      if (before !== undefined) throw imageError(`${bdf} is there twice, first in line ${before}`, { line });
      seen.set(bdf, line);
      current = { bdf, title: head[2] ?? "", line, rows: [] };
      continue;
    }
    // Lines of -v are indented; a dump's rows never are.
    if (/^\s/.test(content) || chatter.test(content)) continue;
    if (!looksLikeRow(content))
      throw imageError(
        `${quote(content)} is neither a device ("01:00.0 ...") nor a row of a dump ("00: 86 80 ...")`,
        { line },
      );
    if (!current) throw imageError("a row of a dump before any device", { line });
    const row = parseHexRow(content);
    if (typeof row === "string") throw imageError(row, { line });
    const expected = current.rows.length * 16;
    if (row.offset !== expected)
      throw imageError(
        `row ${row.offset.toString(16)} where row ${expected.toString(16).padStart(2, "0")} should be`,
        { line },
      );
    current.rows.push(row.bytes);
  }
  finish();
  if (devices.length === 0) throw imageError("no device: expected the output of lspci -xxxx");
  return devices;
}

/** Lines one at a time: an array of all of them could take many times the text's own size. */
function* linesOf(text: string): Generator<string> {
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    yield text.slice(start, end);
    start = end + 1;
  }
  yield text.slice(start);
}

function bdfAt(text: string, line: number): string {
  try {
    return formatBdf(parseBdf(text));
  } catch (error) {
    throw imageError((error as Error).message, { line });
  }
}

function configOf(bdf: string, rows: readonly Uint8Array[], first: number, last: number): Uint8Array {
  if (rows.length === 0)
    throw imageError(`${bdf} has no dump of its config space: run lspci with -xxxx`, { line: first });
  const config = new Uint8Array(rows.length * 16);
  for (const [index, row] of rows.entries()) config.set(row, index * 16);
  // Of a CardBus bridge, lspci -x prints 128 bytes; an image keeps the 64 of them that every header has.
  if (config.length === 128 && (config[0x0e]! & 0x7f) === cardbus) return config.slice(0, 64);
  if (!configSizes.includes(config.length))
    throw imageError(
      `the dump of ${bdf} ends after ${config.length} bytes; config space has 64, 256 or 4096: it is cut off`,
      { line: last },
    );
  return config;
}
