import { composed } from "../derived.ts";

const numbersOf = (bits: number): readonly number[] =>
  Array.from({ length: 32 }, (_, at) => at).filter((at) => (bits >>> at) & 1);

/** The numbers of the bits that are set in a register of at most 32, each of which stands for one of many: lanes, devices. */
export const bitList = <const P extends string>(register: P, label: string) =>
  composed([register], (bits = 0) => numbersOf(bits), {
    label,
    text: (numbers) => (numbers.length === 0 ? "none" : numbers.join(" ")),
  });
