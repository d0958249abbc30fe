// Live bits that each stand for one of many things: an access reaches the one register that holds the bit.
import { accessWords } from "./access.ts";
import { checkIndex, type BitArray } from "./array.ts";
import { printsAs, tableLine } from "./inspect.ts";
import { readBytes, type Reached } from "./live-register.ts";
import { said } from "./said.ts";

/** The accessors of a bit array; `where` is its name with its map's. */
export function liveBits(where: string, bits: BitArray, { io, base }: Reached): object {
  const { at, count, access, width, precious } = bits;
  const bytes = width / 8;
  const all = 2 ** width - 1;
  const place = (index: number): readonly [offset: number, bit: number] => {
    checkIndex(where, count, index);
    return [base + at + Math.floor(index / width) * bytes, index % width];
  };
  const readAt = (offset: number, index: number): number =>
    readBytes(`${where}[${index}]`, io, offset, bytes);
  const get = (index: number): boolean => {
    const [offset, bit] = place(index);
    return ((readAt(offset, index) >>> bit) & 1) !== 0;
  };
  const { read, write } = accessWords[access];
  const prints = (can: object): object => printsAs(can, () => tableLine("LiveBits", where, bits));
  const can = { length: count, ...(read !== "unreadable" && { get }) };
  if (write === "none") return prints(can);
  /** Why the other bits of the register cannot be kept. */
  const refuses =
    write !== "store"
      ? undefined
      : read === "unreadable"
        ? "its neighbours are write-only"
        : precious && "a read of its neighbours has a side effect";
  return prints({
    ...can,
    set(index: number, value: boolean) {
      const [offset, bit] = place(index);
      const path = `${where}[${index}]`;
      if (typeof value !== "boolean") throw new TypeError(`"${path}" must be a boolean, not ${said(value)}`);
      if (refuses) throw new TypeError(`"${path}" must be written with its register, not alone: ${refuses}`);
      const one = 2 ** bit;
      if (write === "store")
        io.write(offset, bytes, ((readAt(offset, index) & ~one) | (value ? one : 0)) >>> 0);
      else if (write === "zero-clears") io.write(offset, bytes, value ? all : all - one);
      else io.write(offset, bytes, value ? one : 0);
    },
  });
}
