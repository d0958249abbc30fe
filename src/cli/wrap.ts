// Lines of words for a terminal of some width.

/**
 * A text in lines that are no wider, cut at blanks; what has none goes over. Lines after the first are indented.
 * @param max columns that a line may have; undefined for one line @param indent columns
 */
export function wrapped(text: string, max: number | undefined, indent: number): string[] {
  if (max === undefined || Bun.stringWidth(text) <= max) return [text];
  const lead = " ".repeat(Math.min(indent, Math.floor(max / 2)));
  const lines: string[] = [];
  let line = /^ */.exec(text)![0];
  for (const word of text.trim().split(" ")) {
    const longer = line.trim() === "" ? `${line}${word}` : `${line} ${word}`;
    if (line.trim() !== "" && Bun.stringWidth(longer) > max) {
      lines.push(line);
      line = `${lead}${word}`;
    } else line = longer;
  }
  return [...lines, line];
}
