// A device of one register, bit by bit as the access words of its fields say: what a driver's accesses do to it.
import { accessWords, type Access, type Register, type RegisterIo } from "../../src/regs/index.ts";

/** The access word of each bit; undefined where no field is: such bits are preserved. */
export const bitWords = ({ width, access, fields }: Register): readonly (Access | undefined)[] => {
  const list = Object.values(fields);
  return Array.from({ length: width }, (_, bit) =>
    list.length === 0 ? access : list.find(({ hi, lo }) => bit >= lo && bit <= hi)?.access,
  );
};

/** A bit after a write of `written`. */
export function writtenBit(word: Access | undefined, before: boolean, written: boolean): boolean {
  switch (word === undefined ? "store" : accessWords[word].write) {
    case "store":
      return written;
    case "clear":
      return before && !written;
    case "set":
    case "start":
      return before || written;
    case "toggle":
      return before !== written;
    case "zero-clears":
      return before && written;
    default:
      return before;
  }
}

/** A register at byte 0 whose accesses are counted, and what of them no driver may do. */
export class RegisterModel implements RegisterIo {
  bits: boolean[];
  reads = 0;
  writes = 0;
  /** Reserved bits that were written otherwise than they have to be. */
  readonly breaches: string[] = [];
  readonly #words: readonly (Access | undefined)[];

  constructor(register: Register, state: bigint) {
    this.#words = bitWords(register);
    this.bits = this.#words.map((_, bit) => ((state >> BigInt(bit)) & 1n) === 1n);
  }

  /** Of write-only bits a read gives the opposite: nothing that means anything. */
  read(offset: number, width: number): number {
    this.reads++;
    let value = 0;
    for (let bit = 8 * offset; bit < 8 * (offset + width); bit++) {
      const word = this.#words[bit];
      const { read } = accessWords[word ?? "rw"];
      if (this.bits[bit] !== (read === "unreadable")) value += 2 ** (bit - 8 * offset);
      if (read === "clears") this.bits[bit] = false;
      if (read === "sets") this.bits[bit] = true;
    }
    return value;
  }

  write(offset: number, width: number, value: number): void {
    this.writes++;
    for (let bit = 8 * offset; bit < 8 * (offset + width); bit++) {
      const word = this.#words[bit];
      const written = Math.floor(value / 2 ** (bit - 8 * offset)) % 2 === 1;
      if (word === "rsvdz" && written) this.breaches.push(`bit ${bit} is RsvdZ, and was written 1`);
      if ((word === undefined || word === "rsvdp") && written !== this.bits[bit])
        this.breaches.push(`bit ${bit} is RsvdP, and was not written back`);
      this.bits[bit] = writtenBit(word, this.bits[bit]!, written);
    }
  }
}
