// A dump within one line: in a string of JSON or of a program, which has `\n` for each end of a line; on a page, <br>.

/** Fewer bytes hold no two rows. */
export const shortestDump = 100;

const end = /(?:\\+r)?\\+n|<br\s*\/?>/i;
const ends = new RegExp(end, "gi");
const row = /^\s*[0-9a-f]{2,3}:(?:\s+[0-9a-f]{2}){4}/i;

/** The lines within a line; undefined where fewer than two of them are rows of a dump. */
export function innerLines(line: string): readonly string[] | undefined {
  if (!end.test(line)) return undefined;
  const lines = line.split(end).map((text) => text.replaceAll("\\t", "\t"));
  return lines.filter((text) => row.test(text)).length < 2 ? undefined : lines;
}

/** Characters of a line of any dump, with what lspci says behind it. */
const longest = 4096;

/** Where a part of a line can be parted from the rest: at its last end of a line within; 0 or less where there is none. */
export function lastInnerEnd(part: string): number {
  const from = Math.max(0, part.length - longest);
  const last = [...part.slice(from).matchAll(ends)].at(-1);
  return last ? from + last.index : -1;
}
