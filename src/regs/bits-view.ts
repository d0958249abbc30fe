// Bits in memory that each stand for one of many things.
import { isWritable } from "./access.ts";
import { checkIndex, type BitArray } from "./array.ts";
import { inspectCustom, tableLine } from "./inspect.ts";
import { said } from "./said.ts";

/** The class over the bits of an array; only those that software can write have `set`. `where` is its name with its map's. */
export function bitsClass(where: string, bits: BitArray): new (memory: DataView, base: number) => object {
  const { at, count, access } = bits;
  class BitsView {
    readonly length = count;
    readonly $memory: DataView;
    /** Byte of the first bit. */
    readonly $first: number;
    constructor(memory: DataView, base: number) {
      this.$memory = memory;
      this.$first = base + at;
    }
    get(index: number): boolean {
      checkIndex(where, count, index);
      return (this.$memory.getUint8(this.$first + (index >>> 3)) & (1 << (index & 7))) !== 0;
    }
    [inspectCustom](): string {
      return tableLine("BitsView", where, bits);
    }
  }
  if (!isWritable(access)) return BitsView;
  return class extends BitsView {
    set(index: number, value: boolean): void {
      checkIndex(where, count, index);
      if (typeof value !== "boolean")
        throw new TypeError(`"${where}[${index}]" must be a boolean, not ${said(value)}`);
      const byte = this.$first + (index >>> 3);
      const mask = 1 << (index & 7);
      this.$memory.setUint8(byte, (this.$memory.getUint8(byte) & ~mask) | (value ? mask : 0));
    }
  };
}
