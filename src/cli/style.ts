/** How text is marked up; the identity where nobody sees colours. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
}

/** What `--color` takes. */
export const colorChoices: readonly string[] = ["auto", "always", "never"];

/** What the command line says of colours; the parser refuses what is none of the choices. */
function colorOption(args: readonly string[]): string {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const at = own.findLastIndex((word) => /^--color(?:=|$)/.test(word));
  if (at < 0) return "auto";
  return own[at]!.startsWith("--color=") ? own[at]!.slice("--color=".length) : (own[at + 1] ?? "auto");
}

/**
 * Colours on a terminal only, and not where NO_COLOR is set (no-color.org) or the terminal has none; or as `--color` says.
 * @param args words of the command line
 */
export function wantsColor(
  stream: { readonly isTTY?: boolean | undefined },
  args: readonly string[] = [],
): boolean {
  const wanted = colorOption(args);
  if (wanted !== "auto") return wanted === "always";
  return stream.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    `\u001b[${on}m${text}\u001b[${off}m`;
const same = (text: string): string => text;

export const styleOf = (color: boolean): Style =>
  color
    ? { bold: sgr(1, 22), dim: sgr(2, 22), good: sgr(32, 39), bad: sgr(31, 39) }
    : { bold: same, dim: same, good: same, bad: same };
