import { ImageError, problemText } from "../image/error.ts";

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

/** What a person reads of an error, in one line and without a stack. */
export function failureText(error: unknown): string {
  if (error instanceof ImageError) return firstProblem(error);
  if (error instanceof CliError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const hint = "hint" in error && typeof error.hint === "string" ? `; ${error.hint}` : "";
  const known = "code" in error || error instanceof RangeError;
  return known ? `${error.message}${hint}` : `internal error, please report it: ${error.message}`;
}

/** Keeps text from an input on one line: control characters could also drive a terminal. */
export const oneLine = (text: string): string =>
  text.replace(/\s*\n\s*/g, "; ").replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
