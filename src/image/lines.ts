// Lines of a text that is read as it comes: one buffer, whatever the length of the text or of a line.

import { lastInnerEnd } from "./inner-lines.ts";

/** Puts the next bytes at the beginning of `into`. @returns how many; 0 at the end */
export type ByteSource = (into: Uint8Array) => number;

/** Bytes of a line that are kept; no line that means anything is as long. */
export const maxLine = 65536;

const newline = 0x0a;
const carriageReturn = 0x0d;
const lastAscii = 0x7f;

/** The source of bytes that are all here. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  let at = 0;
  return (into) => {
    const piece = bytes.subarray(at, at + into.length);
    into.set(piece);
    at += piece.length;
    return piece.length;
  };
}

/** Goes from line to line. The bytes of a line stay where they are until the next one. */
export class Lines {
  /** The line is `bytes` from `start` to `end`, without what ends it. */
  readonly bytes = new Uint8Array(4 * maxLine);
  /** Byte of `bytes` at which the line begins. */
  start = 0;
  /** Byte behind its last. */
  end = 0;
  /** Of the line, counted from 1. */
  number = 0;
  readonly #ascii = Buffer.from(this.bytes.buffer);
  readonly #source: ByteSource;
  #next = 0;
  #filled = 0;
  #ended = false;
  /** The line is a part of one that goes on. */
  #goesOn = false;
  /** The next carriage return, or where none was found before: most texts have none. */
  #return = -1;

  /** Lines of a source, read as they come. */
  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Goes to the next line. @returns false at the end */
  next(): boolean {
    let from = this.#next;
    for (;;) {
      const at = this.#endFrom(from);
      const inner = (at < 0 ? this.#filled : at) - this.#next >= maxLine ? this.#innerEnd() : 0;
      if (inner > 0) return this.#take(this.#next + inner, this.#next + inner, true);
      if (at >= 0) return this.#take(at, at + 1);
      // The newline of a carriage return at the end may be still to come.
      from = this.#filled - (this.#filled > from && this.bytes[this.#filled - 1] === carriageReturn ? 1 : 0);
      if (this.#ended) return this.#next < this.#filled && this.#take(this.#filled, this.#filled);
      const long = this.#filled - this.#next >= maxLine;
      if (long || this.#filled > this.bytes.length - maxLine) {
        this.bytes.copyWithin(0, this.#next, this.#filled);
        this.#filled -= this.#next;
        this.#return -= this.#next;
        from -= this.#next;
        this.#next = 0;
      }
      if (long) return this.#takeLong();
      this.#fill();
    }
  }

  /** The line as text; every byte that is no UTF-8 makes it one of Latin-1, as old mails are. @param limit of its bytes */
  text(limit = maxLine): string {
    const { bytes, start } = this;
    const end = Math.min(this.end, start + limit);
    if (end === start) return "";
    for (let at = start; at < end; at++)
      if (bytes[at]! > lastAscii) return decodeText(bytes.subarray(start, end));
    // Of ASCII alone, as nearly every line is: no decoder, and no view of the bytes.
    return this.#ascii.toString("latin1", start, end);
  }

  /** The first end of a line from `from` on: a newline, or a carriage return by itself; -1 where none is here yet. */
  #endFrom(from: number): number {
    if (from >= this.#filled) return -1;
    const newlineAt = this.bytes.indexOf(newline, from);
    const end = newlineAt >= 0 && newlineAt < this.#filled ? newlineAt : -1;
    const at = this.#returnFrom(from);
    const isAlone = end < 0 ? at + 1 < this.#filled || (at < this.#filled && this.#ended) : at + 1 < end;
    return isAlone ? at : end;
  }

  /** The next carriage return from `from` on, or the end of what is here. */
  #returnFrom(from: number): number {
    const known = this.#return;
    if (known >= from && (known === this.#filled || this.bytes[known] === carriageReturn)) return known;
    const at = this.bytes.indexOf(carriageReturn, Math.max(known, from));
    return (this.#return = at < 0 || at > this.#filled ? this.#filled : at);
  }

  /** Bytes of a long line to its last end of a line within it, as strings and pages have them; 0 or less where there is none. */
  #innerEnd(): number {
    return lastInnerEnd(this.#ascii.toString("latin1", this.#next, this.#next + maxLine));
  }

  /** @param goesOn the next one is a part of the same line */
  #take(end: number, next: number, goesOn = false): true {
    this.start = this.#next;
    this.end = end > this.start && this.bytes[end - 1] === carriageReturn ? end - 1 : end;
    this.#next = next;
    if (!this.#goesOn) this.number++;
    this.#goesOn = goesOn;
    return true;
  }

  #fill(): void {
    const count = this.#source(this.bytes.subarray(this.#filled));
    if (count === 0) this.#ended = true;
    this.#filled += count;
  }

  /** Reads to the end of a line that fills what is kept of one; what follows takes the place of the rest. */
  #takeLong(): true {
    for (;;) {
      this.#return = -1;
      const at = this.#endFrom(maxLine);
      if (at >= 0) return this.#take(maxLine, at + 1);
      this.#filled = maxLine;
      if (this.#ended) return this.#take(maxLine, maxLine);
      this.#fill();
    }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const latin1 = new TextDecoder("windows-1252");

/** Bytes as text: UTF-8, or Latin-1 where they are none. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return latin1.decode(bytes);
  }
}

/** The lines of a source as text, each cut after `maxLine` bytes. */
export function* textLines(source: ByteSource): Generator<string> {
  const lines = new Lines(source);
  while (lines.next()) yield lines.text();
}
