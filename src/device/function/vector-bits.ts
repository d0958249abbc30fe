import { msi64Masked } from "../../regs/maps/msi.ts";
import type { RegionSpaces } from "./region-spaces.ts";

/** Mask and pending bits of the device itself, for one kind of message interrupts. */
export interface VectorBits {
  /** Whether the device holds the vector back by a mask bit of its own. */
  masked(vector: number): boolean;
  pending(vector: number): boolean;
  setPending(vector: number, pending: boolean): void;
}

const masks = msi64Masked.register("mask");
/** Where the pending bits are from the mask bits on, in both layouts. */
const pendingBits = msi64Masked.register("pending").at - masks.at;

/** MSI's, in config space: the mask bits, then the pending bits. @param maskAt undefined where it has none */
export function configBits(config: () => Uint8Array, maskAt: () => number | undefined): VectorBits {
  const has = (vector: number, register: number): boolean => {
    const at = maskAt();
    return at !== undefined && ((config()[at + register + (vector >>> 3)]! >>> (vector & 7)) & 1) === 1;
  };
  return {
    masked: (vector) => has(vector, 0),
    pending: (vector) => has(vector, pendingBits),
    setPending(vector, pending) {
      const at = maskAt();
      if (at === undefined) return;
      const bytes = config();
      const bit = 1 << (vector & 7);
      const byte = at + pendingBits + (vector >>> 3);
      bytes[byte] = pending ? bytes[byte]! | bit : bytes[byte]! & ~bit;
    },
  };
}

/** MSI-X's, in a BAR: the pending bits. Which vectors are masked there the host decides, see `FunctionIrqs`. */
export function memoryBits(
  pba: () => { readonly spaces: RegionSpaces; readonly region: number; readonly offset: number } | undefined,
): VectorBits {
  const byte = new Uint8Array(new ArrayBuffer(1));
  const at = (vector: number): number => {
    const area = pba();
    if (!area) return 0;
    area.spaces.read(area.region, area.offset + (vector >>> 3), byte);
    return byte[0]!;
  };
  return {
    masked: () => false,
    pending: (vector) => ((at(vector) >>> (vector & 7)) & 1) === 1,
    setPending(vector, pending) {
      const bit = 1 << (vector & 7);
      byte[0] = pending ? at(vector) | bit : at(vector) & ~bit;
      const area = pba();
      area?.spaces.write(area.region, area.offset + (vector >>> 3), byte);
    },
  };
}
