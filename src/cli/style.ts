/** How text is marked up; the identity where nobody sees colours. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
}

/** Colours on a terminal only, and not where NO_COLOR is set (no-color.org) or the terminal has none. */
export const wantsColor = (stream: { readonly isTTY?: boolean | undefined }): boolean =>
  stream.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";

const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    `\u001b[${on}m${text}\u001b[${off}m`;
const same = (text: string): string => text;

export const styleOf = (color: boolean): Style =>
  color
    ? { bold: sgr(1, 22), dim: sgr(2, 22), good: sgr(32, 39), bad: sgr(31, 39) }
    : { bold: same, dim: same, good: same, bad: same };
