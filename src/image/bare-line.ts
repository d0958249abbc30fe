// A line as it was printed, out of what terminals, pages and logs make of its letters.

/** Sequences by which a terminal is driven: colours, titles. */
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
/** Marks at the beginning of text that is Unicode, and characters without width. */
const invisible = /[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/g;
/** The end of a line as programs write it in a string. */
const lineEnd = /(?:\\[nr])+(?=["'),;\]]*\s*$)/;
/** Blanks of every width, and letters and signs of full width, which NFKC makes plain. */
const wide = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\uff01-\uff5e]/;
const tags =
  /<\/?(?:a|b|blockquote|br|code|div|em|font|i|li|p|pre|samp|span|strong|table|td|th|tr|tt|ul)(?:\s[^<>]*)?\/?>/gi;
const entity = /&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|(amp|apos|colon|gt|lt|nbsp|quot|vert));?/gi;
const named: Readonly<Record<string, string>> = {
  amp: "&",
  apos: "'",
  colon: ":",
  gt: ">",
  lt: "<",
  nbsp: " ",
  quot: '"',
  vert: "|",
};
/** Where a log's record has its line: journalctl -o json, docker's json-file, and what programs write. */
const messageKeys = ["MESSAGE", "message", "msg", "log"] as const;

function entityText(whole: string, decimal?: string, hexadecimal?: string, name?: string): string {
  if (name !== undefined) return named[name.toLowerCase()]!;
  const code = decimal === undefined ? parseInt(hexadecimal!, 16) : Number(decimal);
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

/** The line of a log whose records are JSON, one a line; undefined for anything else. */
export function loggedLine(text: string): string | undefined {
  if (!/^\s*\{\s*"/.test(text) || !text.trimEnd().endsWith("}")) return undefined;
  let record: Readonly<Record<string, unknown>>;
  try {
    record = JSON.parse(text) as typeof record;
  } catch {
    return undefined;
  }
  for (const key of messageKeys) {
    const line = record[key];
    if (typeof line === "string") return line.replace(/[\r\n]+$/, "");
  }
  return undefined;
}

/** The letters of a line, as a terminal without colours shows them; without blanks at its end. */
export function bareLine(raw: string): string {
  let text = raw.replace(escapes, "").replace(invisible, "");
  if (text.includes("\\")) text = text.replace(lineEnd, "");
  if (text.includes("&")) text = text.replace(entity, entityText);
  if (text.includes("<")) text = text.replace(tags, "");
  if (wide.test(text)) text = text.normalize("NFKC");
  return text.trimEnd();
}
