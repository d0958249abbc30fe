// JSON (RFC 8259) for files that people edit: it says where the text is wrong, takes no key twice (the built-in
// parser silently keeps the last), finds the place of any value again, and is bounded in depth and in number of values and
// keys. It works on the bytes of a file: a text of them would be there a second time.
import { imageError, quote, type ImageError } from "./error.ts";

const maxDepth = 32;
/** A file of 64 MiB has not as many lines of an image. */
const maxValues = 2 ** 20;
/** Several times those of an image's longest object. */
const maxKeys = 64;

export type Path = readonly PropertyKey[];
export interface Place {
  readonly line: number;
  readonly column: number;
}

const quoteMark = 0x22;
const backslash = 0x5c;
const newline = 0x0a;
const [openObject, closeObject, openArray, closeArray, colon, comma] = [..."{}[]:,"].map((sign) =>
  sign.charCodeAt(0),
) as [number, number, number, number, number, number];

const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/;
const word = /^(?:true|false|null)/;
/** Characters of a number or a word that are looked at: far more than one that an image holds. */
const literalLimit = 400;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Line and column of a byte in a text, the column in characters. */
function placeOf(text: Uint8Array, offset: number): Place {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf(newline); at >= 0 && at < offset; at = text.indexOf(newline, start)) {
    line++;
    start = at + 1;
  }
  // Bytes that continue a character do not count.
  let column = 1;
  for (let at = start; at < offset; at++) if ((text[at]! & 0xc0) !== 0x80) column++;
  return { line, column };
}

/**
 * Parses JSON text in UTF-8. Objects have no prototype: a key `__proto__` is a key like any other.
 * @throws ImageError with line and column
 */
export const parseJson = (text: Uint8Array): unknown => new Scan(text, undefined).run().value;

/** Where the value at `path` begins, or the innermost value around it that is there. The text must have parsed. */
export const locate = (text: Uint8Array, path: Path): Place =>
  placeOf(text, new Scan(text, path).run().found);

class Scan {
  readonly #text: Uint8Array;
  /** The same bytes. */
  readonly #ascii: Buffer;
  readonly #target: Path | undefined;
  #at = 0;
  #values = 0;
  #found = 0;

  constructor(text: Uint8Array, target: Path | undefined) {
    this.#text = text;
    this.#ascii = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
    this.#target = target;
    // The mark of UTF-8 that some editors put at the beginning.
    if (text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) this.#at = 3;
  }

  run(): { value: unknown; found: number } {
    const value = this.#value(0, this.#target);
    this.#blanks();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return { value, found: this.#found };
  }

  #fail(what: string, where = this.#at): ImageError {
    return imageError(what, placeOf(this.#text, where));
  }

  #unexpected(expected: string): ImageError {
    if (this.#at >= this.#text.length)
      return this.#fail(`not JSON: the text ends where ${expected} should be`);
    const shown = new TextDecoder().decode(this.#text.subarray(this.#at, this.#at + 4));
    const character = String.fromCodePoint(shown.codePointAt(0) ?? 0xfffd);
    return this.#fail(`not JSON: ${quote(character)} where ${expected} should be`);
  }

  #blanks(): void {
    const text = this.#text;
    for (;;) {
      const byte = text[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #string(expected: string): string {
    const text = this.#text;
    const start = this.#at;
    if (text[start] !== quoteMark) throw this.#unexpected(expected);
    let escaped = false;
    // The bits of all bytes: none above ASCII, which most strings are, takes no decoder.
    let bits = 0;
    for (let at = start + 1; at < text.length; at++) {
      const byte = text[at]!;
      if (byte === quoteMark) {
        this.#at = at + 1;
        if (!escaped && bits < 0x80) return this.#ascii.toString("latin1", start + 1, at);
        return this.#decoded(start, at, escaped);
      }
      if (byte < 0x20) break;
      bits |= byte;
      if (byte !== backslash) continue;
      escaped = true;
      at++;
    }
    throw this.#fail("not JSON: a string that does not end, or holds a control character");
  }

  #decoded(start: number, end: number, escaped: boolean): string {
    let text: string;
    try {
      text = utf8.decode(this.#text.subarray(start, end + 1));
    } catch {
      throw this.#fail("not JSON: a string that is not in UTF-8", start);
    }
    if (!escaped) return text.slice(1, -1);
    try {
      return JSON.parse(text) as string;
    } catch {
      throw this.#fail("not JSON: a string with an escape that is none", start);
    }
  }

  // `rest` is what is left of the target path, where this value is on it.
  #value(depth: number, rest: Path | undefined): unknown {
    this.#blanks();
    if (rest) this.#found = this.#at;
    if (depth > maxDepth) throw this.#fail(`nested more than ${maxDepth} deep`);
    if (++this.#values > maxValues) throw this.#fail(`more than ${maxValues} values`);
    const first = this.#text[this.#at];
    if (first === openObject) return this.#object(depth, rest);
    if (first === openArray) return this.#array(depth, rest);
    if (first === quoteMark) return this.#string("a string");
    return this.#literal();
  }

  #object(depth: number, rest: Path | undefined): unknown {
    const object = Object.create(null) as Record<string, unknown>;
    let keys = 0;
    this.#at++;
    this.#blanks();
    if (this.#text[this.#at] === closeObject) {
      this.#at++;
      return object;
    }
    for (;;) {
      this.#blanks();
      const keyAt = this.#at;
      const key = this.#string("a key in double quotes");
      if (key in object) throw this.#fail(`the key ${quote(key)} is there twice`, keyAt);
      if (++keys > maxKeys) throw this.#fail(`more than ${maxKeys} keys in one object`, keyAt);
      this.#blanks();
      if (this.#text[this.#at] !== colon) throw this.#unexpected('":"');
      this.#at++;
      object[key] = this.#value(depth + 1, below(rest, key));
      if (this.#ends(closeObject, '"," or "}"')) return object;
    }
  }

  #array(depth: number, rest: Path | undefined): unknown {
    const array: unknown[] = [];
    this.#at++;
    this.#blanks();
    if (this.#text[this.#at] === closeArray) {
      this.#at++;
      return array;
    }
    for (;;) {
      array.push(this.#value(depth + 1, below(rest, array.length)));
      if (this.#ends(closeArray, '"," or "]"')) return array;
    }
  }

  /** Goes past a comma, or past the sign that ends a list. */
  #ends(close: number, expected: string): boolean {
    this.#blanks();
    const next = this.#text[this.#at];
    if (next !== comma && next !== close) throw this.#unexpected(expected);
    this.#at++;
    return next === close;
  }

  #literal(): unknown {
    let end = this.#at;
    const limit = Math.min(this.#text.length, end + literalLimit);
    while (end < limit && inLiteral(this.#text[end]!)) end++;
    // No more than it takes: of a million numbers what is read too much would pile up.
    const text = String.fromCharCode(...this.#text.subarray(this.#at, end));
    const literal = word.exec(text)?.[0];
    const taken = literal ?? number.exec(text)?.[0];
    if (taken === undefined) throw this.#unexpected("a value");
    this.#at += taken.length;
    if (literal !== undefined) return literal === "null" ? null : literal === "true";
    // An image written again says 0 where -0 stood: so it is 0 from the start.
    return Number(taken) + 0;
  }
}

/** Whether a byte may stand in a number or a word. */
const inLiteral = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) ||
  (byte >= 0x61 && byte <= 0x7a) ||
  byte === 0x2d ||
  byte === 0x2b ||
  byte === 0x2e ||
  byte === 0x45;

const below = (rest: Path | undefined, key: PropertyKey): Path | undefined =>
  rest && rest.length > 0 && String(rest[0]) === String(key) ? rest.slice(1) : undefined;
