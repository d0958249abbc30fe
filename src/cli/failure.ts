import { ImageError, problemText } from "../image/error.ts";
import { printable } from "../regs/printable.ts";
import { messageOf } from "../regs/message-of.ts";

/** Something that the user can put right: told in one line, with exit code 2. */
export class CliError extends Error {
  override readonly name = "CliError";
}

/** Exit codes of every command. */
export const exitCode = { ok: 0, found: 1, failed: 2 } as const;

/** An `ImageError` in one line: its first problem, and how many more there are. */
export function firstProblem(error: ImageError): string {
  const [first, ...rest] = error.problems;
  const more =
    rest.length === 0 ? "" : ` (and ${rest.length} more ${rest.length === 1 ? "problem" : "problems"})`;
  return `${problemText(first!)}${more}`;
}

/** A hint is a sentence of its own; after the message it is a part of the line. Acronyms stay as they are. */
const hintInLine = (hint: string): string =>
  hint.replace(/^\p{Lu}(?=\p{Ll}|\s)/u, (letter) => letter.toLowerCase()).replace(/\.$/, "");

/** What a person reads of a failure that is told of on purpose; undefined for any other, a defect of this program. */
export function knownText(error: unknown): string | undefined {
  if (error instanceof ImageError) return firstProblem(error);
  if (error instanceof CliError) return error.message;
  if (!(error instanceof Error && ("code" in error || error instanceof RangeError))) return undefined;
  const hint = "hint" in error && typeof error.hint === "string" ? `; ${hintInLine(error.hint)}` : "";
  return `${error.message}${hint}`;
}

/** What a person reads of an error, in one line and without a stack. */
export const failureText = (error: unknown): string =>
  knownText(error) ?? `internal error, please report it: ${messageOf(error)}`;

/** Keeps text from an input on one line: control characters could also drive a terminal. */
export const oneLine = (text: string): string => printable(text.replace(/\s*\n\s*/g, "; "));
