// A dump within one line: in a string of JSON or of a program, which has `\n` for each end of a line; on a page, <br>.

/** Fewer bytes hold no two rows. */
export const shortestDump = 100;

const ends = /(?:\\+r)?\\+n|<br\s*\/?>/gi;
const row = /^\s*[0-9a-f]{2,3}:(?:\s+[0-9a-f]{2}){4}/i;

/** The lines within a line; undefined where fewer than two of them are rows of a dump. */
export function innerLines(line: string): readonly string[] | undefined {
  if (!/\\n|<br/i.test(line)) return undefined;
  const lines = line.split(ends).map((text) => text.replaceAll("\\t", "\t"));
  return lines.filter((text) => row.test(text)).length < 2 ? undefined : lines;
}
