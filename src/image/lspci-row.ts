import { hexDigits } from "../regs/hex-text.ts";
// A row of a dump, as `lspci -x` prints it and as it comes back from mails, logs and pages: `1a0: 00 01 ...`.

/** Bytes that a config space has at most: the PCI Express Base Specification's 7.2.2. */
export const maxConfig = 4096;
/** Bytes of a full row; what a gap parts from them is a column of text, though it may look like bytes. */
const fullRow = 16;
/** Bytes that tell a row which something else follows from a sentence. */
const fewest = 4;

const colon = 0x3a;
/** The value of each hexadecimal digit; -1 for any other character. */
const digit = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++)
  for (const text of [hexDigits(value), hexDigits(value).toUpperCase()]) digit[text.charCodeAt(0)] = value;
/** Blank, tab, and the blank of pages that does not break, in Latin-1 and in UTF-8. */
const isBlank = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0xa0 || byte === 0xc2 || byte === 0x0d;

const tagMark = 0x3c;
/** A blank, the `=` that mails in quoted-printable put at a line's end, or a sign that closes what is set apart, or a tag. */
const endsByte = (byte: number): boolean =>
  isBlank(byte) ||
  byte === tagMark ||
  byte === 0x3d ||
  byte === 0x7c ||
  byte === 0x60 ||
  byte === 0x2a ||
  byte === 0x22 ||
  byte === 0x27;

/** `0x` before an offset. */
const isHexMark = (text: Uint8Array, at: number): boolean =>
  text[at] === 0x30 && (text[at + 1]! | 0x20) === 0x78;

/** Signs alone, which close a cell of a table or what is set apart: no byte is lost with them. */
function isWrapping(text: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const byte = text[at]!;
    // The rest is a page's.
    if (byte === tagMark) return true;
    if (byte >= 0x80 || digit[byte]! >= 0 || isLetter(byte)) return false;
  }
  return true;
}
const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;

/** The last row that was read. */
export class DumpRow {
  /** Of its first byte in config space. */
  offset = 0;
  readonly bytes = new Uint8Array(maxConfig);
  length = 0;
  /** Something follows that is no byte, or bytes past the end of config space. */
  excess = false;

  /**
   * Takes what lies from `start` to `end` as a row: an offset of 2 to 8 digits, a colon, bytes of two digits.
   * @returns whether it is one
   */
  read(text: Uint8Array, start: number, end: number): boolean {
    let at = isHexMark(text, start) ? start + 2 : start;
    const first = at;
    let offset = 0;
    for (let value = 0; at < end && (value = digit[text[at]!]!) >= 0; at++) {
      if (at - first === 8) return false;
      offset = offset * 16 + value;
    }
    if (at - first < 2 || text[at] !== colon || offset >= maxConfig) return false;
    at++;
    if (at >= end || !isBlank(text[at]!)) return false;
    const { bytes } = this;
    let length = 0;
    for (;;) {
      const gap = at;
      while (at < end && isBlank(text[at]!)) at++;
      if (at >= end || (length === fullRow && at - gap > 1)) break;
      const high = digit[text[at]!]!;
      const low = at + 1 < end ? digit[text[at + 1]!]! : -1;
      if (high < 0 || low < 0 || (at + 2 < end && !endsByte(text[at + 2]!))) break;
      if (offset + length < maxConfig) bytes[length++] = high * 16 + low;
      else break;
      at += 2;
    }
    this.offset = offset;
    this.length = length;
    this.excess = at < end && !isWrapping(text, at, end);
    return length > 0 && (at >= end || length >= fewest);
  }
}
