import { hexDigits } from "../regs/hex-text.ts";
// Names and texts that come from files, from the host, or from the command line, as they may be printed.

/** Controls, marks that turn the direction of text or have no width, and what else some terminal takes for a line's end. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Text on one line that drives no terminal: a control character stands as `\u001b`. */
export const printable = (text: string): string =>
  text.replace(unprintable, (character) => {
    const digits = hexDigits(character.codePointAt(0)!);
    return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`;
  });
