// Lines that a mail broke: the soft breaks and codes of quoted-printable (RFC 2045, 6.7), and rows that were wrapped at a blank.
import { decodeText } from "./lines.ts";
import { hexDigits } from "../regs/hex-text.ts";
import { beginsHeading, dumpLine, unquoted } from "./lspci-line.ts";

/** A line of a text, or a part of one that goes on in the next. */
export interface Piece {
  readonly text: string;
  /** Of the line, counted from 1. */
  readonly number: number;
}

/** More than it takes to break a row in two behind every prefix that there is. */
const maxPieces = 8;
/** A line that goes on: with `=` at its end, and none before that as in a rule of them. */
const soft = /(?:^|[^=])=$/;
const code = /=([0-9A-F]{2})/g;
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

/** Puts lines together that end with a soft break, as far as that makes a row or a heading of them. */
export class SoftBreaks {
  #pieces: Piece[] = [];

  /** Whether the line before goes on in the next one. */
  get isOpen(): boolean {
    return this.#pieces.length > 0;
  }

  /** @returns the lines that are whole with this one: none where it goes on */
  take(text: string, number: number): readonly Piece[] {
    const goesOn = soft.test(text);
    this.#pieces.push({ text: goesOn ? text.slice(0, -1) : text, number });
    return goesOn && this.#pieces.length < maxPieces ? [] : this.end();
  }

  /** The lines that are here, since none follows. */
  end(): readonly Piece[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces.length < 2 ? pieces.map(decoded) : joined(pieces);
  }
}

const isDump = (text: string): boolean => ["row", "heading"].includes(dumpLine(text).kind);

function joined(pieces: readonly Piece[]): readonly Piece[] {
  const whole = decoded({ text: pieces.map(({ text }) => text).join(""), number: pieces[0]!.number });
  const apart = pieces.map(decoded);
  // A row is followed by one: then the sign stands at the end of each line, and breaks none.
  const isApart = apart.filter(({ text }) => isDump(text)).length > 1;
  return isApart || !isDump(whole.text) ? apart : [whole];
}

/** A line with its codes as what they stand for, where that tells what it is, or at its end. */
function decoded(piece: Piece): Piece {
  const text = piece.text.replace(/(?:=(?:20|09|0D))+$/, "");
  // A text in quoted-printable is ASCII.
  if (text.search(code) < 0 || /[^\0-\x7f]/.test(text)) return { ...piece, text };
  const plain = decodeText(
    latin1(text.replaceAll(code, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)))),
  );
  return { ...piece, text: isDump(plain) ? plain : text };
}

/** Bytes of a full row, and where each begins. */
const fullRow = 16;
const bytesAlone = /^[0-9a-f]{2}(?:\s+[0-9a-f]{2}){0,14}$/i;
/** An offset, and fewer bytes than it takes to be a row behind other text. */
const beginsRow = /(?:^|[\s>|\]:;$#*`"-])((?:0x)?[0-9a-f]{2,8}:(?:\s+[0-9a-f]{2}){0,3})$/i;
/** Fewer bytes than these go on with a row only where they end it. */
const surely = 3;

/** What lines are together. */
export interface Rejoined {
  readonly text: string;
  /** How many lines before belong to it, and were skipped. */
  readonly skipped: number;
}
interface Beginning {
  readonly text: string;
  /** Of the last line that it is made of. */
  readonly number: number;
  /** Of a row that was read: the byte behind its last. */
  readonly end?: number;
  readonly skipped: number;
}

/** Joins a row or a heading to what a program for mails put on the lines behind it, at the width of its window. */
export class WrappedLines {
  #before: Beginning | undefined;

  /** A row up to byte `end` was read in the line `number`: it may go on in the next. */
  row(end: number, number: number): void {
    this.#before =
      end % fullRow === 0 ? undefined : { text: `${hexDigits(end, 2)}:`, number, end, skipped: 0 };
  }

  /**
   * What a line that is neither a row nor a heading is together with those before; undefined where it is none with them.
   * @param isSkipped whether it is none of a dump
   */
  rest(line: string, number: number, isSkipped: boolean): Rejoined | undefined {
    const before = this.#before?.number === number - 1 ? this.#before : undefined;
    this.#before = undefined;
    const text = unquoted(line).trim();
    const skipped = isSkipped ? 1 : 0;
    if (before?.end !== undefined) {
      if (isRestOfRow(text, before.end)) return { text: `${before.text} ${text}`, skipped: 0 };
    } else if (before) {
      const joined = `${before.text} ${text}`;
      if (isDump(joined)) return { text: joined, skipped: before.skipped };
      if (beginsHeading(joined)) this.#before = { text: joined, number, skipped: before.skipped + skipped };
    }
    const offset = beginsRow.exec(text)?.[1];
    const begun = offset ?? (beginsHeading(line) ? line : undefined);
    if (begun !== undefined) this.#before = { text: begun, number, skipped };
    return undefined;
  }
}

function isRestOfRow(text: string, end: number): boolean {
  if (!bytesAlone.test(text)) return false;
  const bytes = text.split(/\s+/).length;
  const left = fullRow - (end % fullRow);
  return bytes === left || (bytes < left && bytes >= surely);
}
