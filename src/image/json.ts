// JSON (RFC 8259) for files that people edit: it says where the text is wrong, takes no key twice (the built-in
// parser silently keeps the last), finds the place of any value again, and is bounded in depth and number of values.
import { imageError, quote, type ImageError } from "./error.ts";

const maxDepth = 32;
const maxValues = 2 ** 22;

export type Path = readonly PropertyKey[];
export interface Place {
  readonly line: number;
  readonly column: number;
}

const blank = /[ \t\n\r]*/y;
const plainString = /"[^"\\\u0000-\u001f]*"/y;
const anyString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const word = /true|false|null/y;

/** Line and column of an offset in a text. */
export function placeOf(text: string, offset: number): Place {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", start)) {
    line++;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}

/**
 * Parses JSON text. Objects have no prototype: a key `__proto__` is a key like any other.
 * @throws ImageError with line and column
 */
export const parseJson = (text: string): unknown => scan(text, undefined).value;

/** Where the value at `path` begins, or the innermost value around it that is there. The text must have parsed. */
export const locate = (text: string, path: Path): Place => placeOf(text, scan(text, path).found);

function scan(text: string, target: Path | undefined): { value: unknown; found: number } {
  let at = 0;
  let values = 0;
  let found = 0;

  const fail = (what: string, where = at): ImageError => imageError(what, placeOf(text, where));
  const unexpected = (expected: string): ImageError => {
    if (at >= text.length) return fail(`not JSON: the text ends where ${expected} should be`);
    const character = String.fromCodePoint(text.codePointAt(at)!);
    return fail(`not JSON: ${quote(character)} where ${expected} should be`);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const taken = pattern.exec(text)?.[0];
    if (taken !== undefined) at += taken.length;
    return taken;
  };
  const string = (expected: string): string => {
    const plain = match(plainString);
    if (plain !== undefined) return plain.slice(1, -1);
    if (text[at] !== '"') throw unexpected(expected);
    const escaped = match(anyString);
    if (escaped === undefined)
      throw fail("not JSON: a string that does not end, or holds a control character");
    return JSON.parse(escaped) as string;
  };

  // `rest` is what is left of the target path, where this value is on it.
  const value = (depth: number, rest: Path | undefined): unknown => {
    match(blank);
    if (rest) found = at;
    if (depth > maxDepth) throw fail(`nested more than ${maxDepth} deep`);
    if (++values > maxValues) throw fail(`more than ${maxValues} values`);
    const on = (key: PropertyKey): Path | undefined =>
      rest && rest.length > 0 && String(rest[0]) === String(key) ? rest.slice(1) : undefined;
    const first = text[at];
    if (first === "{") {
      const object = Object.create(null) as Record<string, unknown>;
      at++;
      match(blank);
      if (text[at] === "}") {
        at++;
        return object;
      }
      for (;;) {
        match(blank);
        const keyAt = at;
        const key = string("a key in double quotes");
        if (key in object) throw fail(`the key ${quote(key)} is there twice`, keyAt);
        match(blank);
        if (text[at] !== ":") throw unexpected('":"');
        at++;
        object[key] = value(depth + 1, on(key));
        match(blank);
        const next = text[at];
        if (next !== "," && next !== "}") throw unexpected('"," or "}"');
        at++;
        if (next === "}") return object;
      }
    }
    if (first === "[") {
      const array: unknown[] = [];
      at++;
      match(blank);
      if (text[at] === "]") {
        at++;
        return array;
      }
      for (;;) {
        array.push(value(depth + 1, on(array.length)));
        match(blank);
        const next = text[at];
        if (next !== "," && next !== "]") throw unexpected('"," or "]"');
        at++;
        if (next === "]") return array;
      }
    }
    if (first === '"') return string("a string");
    const literal = match(word);
    if (literal !== undefined) return literal === "null" ? null : literal === "true";
    const digits = match(number);
    // An image written again says 0 where -0 stood: so it is 0 from the start.
    if (digits !== undefined) return Number(digits) + 0;
    throw unexpected("a value");
  };

  const result = value(0, target);
  match(blank);
  if (at < text.length) throw unexpected("the end");
  return { value: result, found };
}
