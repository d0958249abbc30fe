import { quote } from "./error.ts";
import { hexDigits } from "../regs/hex-text.ts";

const digits = /^[0-9a-f]{2}$/i;

/** Bytes as two lower-case digits each, a blank between. */
export const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => hexDigits(byte, 2)).join(" ");

/** What `hexBytes` wrote: the bytes, or in words why it is none. At most `limit` bytes. */
export function parseHexBytes(text: string, limit: number): Uint8Array | string {
  // Not split before its length is known: a line may be as long as the file.
  if (text.length > limit * 3 - 1) return `more than ${limit} bytes in one line`;
  const words = text.split(" ");
  const bytes = new Uint8Array(words.length);
  for (const [index, word] of words.entries()) {
    if (!digits.test(word)) return `${quote(word, 8)} is no byte of two hexadecimal digits`;
    bytes[index] = parseInt(word, 16);
  }
  return bytes;
}

/** A row of an `lspci -x` dump: `1a0: 00 01 ...`. */
export interface HexRow {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const rowHead = /^([0-9a-f]{2,3}): /i;

/** Reads a row of exactly 16 bytes at a multiple of 16; or says in words what is wrong with it. */
export function parseHexRow(line: string): HexRow | string {
  const head = rowHead.exec(line);
  if (!head) return `${quote(line)} is no row of a hex dump such as "1a0: 00 01 ..."`;
  const offset = parseInt(head[1]!, 16);
  if (offset % 16 !== 0) return `offset ${head[1]} is no multiple of 16`;
  const bytes = parseHexBytes(line.slice(head[0].length), 16);
  if (typeof bytes === "string") return bytes;
  if (bytes.length !== 16) return `${bytes.length} bytes in a row of 16`;
  return { offset, bytes };
}

/** Writes a row; the offset has two digits below 0x100, three above, as lspci writes it. */
export const hexRow = (offset: number, bytes: Uint8Array): string =>
  `${hexDigits(offset, 2)}: ${hexBytes(bytes)}`;
