// Messages that are right, and then are not: what a peer could send by mistake or on purpose.
import type { Random } from "./random.ts";

/** Numbers that arithmetic goes wrong with. */
const corners32 = [0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];

/** A copy with something wrong: bytes, a field, the length. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  switch (random.below(5)) {
    case 0:
      if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 1:
      if (copy.length >= 4)
        view.setUint32(random.below(copy.length >>> 2) * 4, corners32[random.below(corners32.length)]!, true);
      return copy;
    case 2:
      return copy.slice(0, random.below(copy.length + 1));
    case 3: {
      const longer = new Uint8Array(copy.length + random.below(64));
      longer.set(copy);
      return longer;
    }
    default:
      for (let i = random.below(8); i >= 0; i--)
        if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
  }
}
