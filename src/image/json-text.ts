/** What JSON lets stand as it is and a terminal obeys: DEL, C1 controls, marks that turn the direction of text or have no width. */
const obeyed = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu;

const escaped = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");

/**
 * The same as JSON.stringify, in letters that drive no terminal: names from files, from the host or from a command line stand
 * in it.
 * @param replacer as of JSON.stringify
 */
export const jsonText = (
  value: unknown,
  replacer?: (key: string, value: unknown) => unknown,
  space?: number,
): string => JSON.stringify(value, replacer, space).replace(obeyed, escaped);
