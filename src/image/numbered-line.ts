/** A name or none, a number as of a line, and what parts it from the line: `dump.txt:1234:`. A domain has leading zeros. */
const numbered = /^(.{0,200}?(?<!\d))([1-9]\d{0,8})[:-](.*)$/s;

/** Device and function, which no line begins with: what stands before them is their bus. */
const deviceAndFunction = /^[0-9a-f]{2}\.[0-7]\b/i;

/**
 * Tells the number of a line from the domain of an address, as `1234:01:00.0` may begin with either: line by line the one
 * before has the number before.
 */
export class NumberedLines {
  #name = "";
  #number = 0;
  #at = 0;

  /** The line without its number. @param at of the line in the text, counted from 1 */
  rest(text: string, at: number): string {
    const [, name = "", digits, rest = ""] = numbered.exec(text) ?? [];
    if (digits === undefined) return text;
    const number = Number(digits);
    const follows = at === this.#at + 1 && name === this.#name && number === this.#number + 1;
    this.#name = name;
    this.#number = number;
    this.#at = at;
    return follows && !deviceAndFunction.test(rest) ? rest : text;
  }
}
