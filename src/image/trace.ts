import { imageError, quote } from "./error.ts";
import { bytesSource, textLines } from "./lines.ts";

/** One config access of a recorded guest. */
export interface TraceAccess {
  /** What the guest did. */
  readonly kind: "read" | "write";
  /** Byte offset in config space. */
  readonly offset: number;
  /** What the guest read or wrote. The width is not recorded. */
  readonly value: number;
  /** Counted from 1. */
  readonly line: number;
}

/** Accesses that one trace may have. */
export const maxTraceAccesses = 1_000_000;

const isWrite = 0x1000;
/** What is kept of an access: its offset with the kind, its value and its line. */
const [offsetAt, valueAt, lineAt, numbersEach] = [0, 1, 2, 3];
const bytesEach = numbersEach * Uint32Array.BYTES_PER_ELEMENT;

/** The accesses of a trace in order, kept as numbers side by side: a million objects would take several times as much. */
export class TraceAccesses implements Iterable<TraceAccess> {
  readonly #buffer = new ArrayBuffer(bytesEach, { maxByteLength: maxTraceAccesses * bytesEach });
  readonly #numbers = new Uint32Array(this.#buffer);
  #length = 0;

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** @throws RangeError for more than `maxTraceAccesses` */
  push({ kind, offset, value, line }: TraceAccess): void {
    if (this.#length >= maxTraceAccesses) throw new RangeError(`more than ${maxTraceAccesses} accesses`);
    const { byteLength, maxByteLength } = this.#buffer;
    const start = this.#length++ * numbersEach;
    if (start === this.#numbers.length) this.#buffer.resize(Math.min(maxByteLength, 2 * byteLength));
    this.#numbers[start + offsetAt] = kind === "write" ? offset | isWrite : offset;
    this.#numbers[start + valueAt] = value;
    this.#numbers[start + lineAt] = line;
  }

  /** Each access, as an object of its own. */
  *[Symbol.iterator](): Generator<TraceAccess> {
    for (let start = 0; start < this.#length * numbersEach; start += numbersEach) {
      const offset = this.#numbers[start + offsetAt]!;
      yield {
        kind: offset & isWrite ? "write" : "read",
        offset: offset & ~isWrite,
        value: this.#numbers[start + valueAt]!,
        line: this.#numbers[start + lineAt]!,
      };
    }
  }
}

/** The last line that was taken apart. Its numbers are read sign by sign: of a million matches the garbage alone is large. */
class AccessLine {
  kind: TraceAccess["kind"] = "read";
  offset = 0;
  value = 0;
  #text = "";
  #at = 0;

  /** @returns whether the text is `read OFFSET VALUE` or `write OFFSET VALUE` */
  read(text: string): boolean {
    this.#text = text;
    this.#at = 0;
    if (this.#word("read")) this.kind = "read";
    else if (this.#word("write")) this.kind = "write";
    else return false;
    this.offset = this.#number();
    this.value = this.#number();
    return this.offset >= 0 && this.value >= 0 && this.#at === text.length;
  }

  #word(word: string): boolean {
    for (let at = 0; at < word.length; at++)
      if ((this.#text.charCodeAt(at) | lowerCase) !== word.charCodeAt(at)) return false;
    this.#at = word.length;
    return true;
  }

  /** Blanks, then a number: decimal of at most 10 digits, or hexadecimal of at most 8; -1 for anything else. */
  #number(): number {
    const text = this.#text;
    const from = this.#at;
    while (text.charCodeAt(this.#at) === blank || text.charCodeAt(this.#at) === tab) this.#at++;
    if (this.#at === from) return -1;
    const isHex =
      text.charCodeAt(this.#at) === zero && (text.charCodeAt(this.#at + 1) | lowerCase) === letterX;
    if (isHex) this.#at += 2;
    const start = this.#at;
    let value = 0;
    for (; ; this.#at++) {
      const digit = digitOf(text.charCodeAt(this.#at));
      if (!(digit < (isHex ? 16 : 10))) break;
      value = value * (isHex ? 16 : 10) + digit;
    }
    const digits = this.#at - start;
    return digits >= 1 && digits <= (isHex ? 8 : 10) ? value : -1;
  }
}

const lowerCase = 0x20;
const [blank, tab, zero, letterX] = [0x20, 0x09, 0x30, 0x78];
/** NaN for what is no digit. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | lowerCase;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : NaN;
}

/**
 * Reads a trace: one access a line, `read OFFSET VALUE` or `write OFFSET VALUE`, numbers decimal or with `0x`;
 * empty lines and those that begin with `#` are skipped.
 * @throws ImageError that names the first line that is not one
 */
export const parseTrace = (text: string): TraceAccess[] => [
  ...parseTraceLines(textLines(bytesSource(new TextEncoder().encode(text)))),
];

/** Reads a trace line by line. @param lines without what ends them @throws as `parseTrace` */
export function parseTraceLines(lines: Iterable<string>): TraceAccesses {
  const accesses = new TraceAccesses();
  const access = new AccessLine();
  let line = 0;
  for (const raw of lines) {
    line++;
    const trimmed = raw.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    if (!access.read(trimmed))
      throw imageError(`expected "read OFFSET VALUE" or "write OFFSET VALUE", got ${quote(trimmed)}`, {
        line,
      });
    const { kind, offset, value } = access;
    const [, offsetText, valueText] = offset > 0xfff || value > 0xffffffff ? trimmed.split(/\s+/) : [];
    if (offset > 0xfff) throw imageError(`offset ${offsetText} lies past config space (0xfff)`, { line });
    if (value > 0xffffffff) throw imageError(`value ${valueText} does not fit 32 bits`, { line });
    if (accesses.length >= maxTraceAccesses)
      throw imageError(`more than ${maxTraceAccesses} accesses`, { line });
    accesses.push({ kind, offset, value, line });
  }
  if (accesses.length === 0) throw imageError("the trace has no access");
  return accesses;
}
