import { hexDigits } from "../regs/hex-text.ts";
/** One thing that is wrong with an input, and where. */
export interface Problem {
  /** In words. */
  readonly message: string;
  /** Path in a structured file, as `regions[0].size`. */
  readonly path?: string | undefined;
  /** Counted from 1. */
  readonly line?: number | undefined;
  /** In characters, counted from 1. */
  readonly column?: number | undefined;
}

/** A message may hold text from the input: nothing of it reaches a terminal as a control character, or as a second line. */
const escaped = (text: string): string =>
  text.replace(/[\0-\x1f\x7f-\x9f]/g, (character) => `\\u${hexDigits(character.charCodeAt(0), 4)}`);

/** One problem as one line: `line 12, column 5: regions[0].size: expected ...`; control characters are escaped. */
export function problemText(problem: Problem): string {
  const { message, path, line, column } = problem;
  const place =
    line === undefined ? "" : column === undefined ? `line ${line}: ` : `line ${line}, column ${column}: `;
  return escaped(`${place}${path ? `${path}: ` : ""}${message}`);
}

const shownProblems = 20;

/** An image, an lspci dump or a raw recording that cannot be used. Its message has one line for each problem. */
export class ImageError extends Error {
  /** Always this. */
  override readonly name = "ImageError";
  /** At least one; in the order of the text. */
  readonly problems: readonly Problem[];

  /** Its message is made of the first 20. @param problems at least one */
  constructor(problems: readonly Problem[]) {
    const lines = problems.slice(0, shownProblems).map(problemText);
    if (problems.length > shownProblems) lines.push(`and ${problems.length - shownProblems} more`);
    super(lines.join("\n"));
    this.problems = problems;
  }
}

/** Text from an input as it may be shown: quoted, escaped and cut to a length. */
export const quote = (text: string, length = 40): string =>
  JSON.stringify(text.length > length ? `${text.slice(0, length)}...` : text);

/** An `ImageError` with one problem. */
export const imageError = (message: string, place: Omit<Problem, "message"> = {}): ImageError =>
  new ImageError([{ message, ...place }]);
