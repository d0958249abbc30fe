import type { Register } from "./register.ts";

/** The whole value of a register in memory where its map begins at byte `base`; a bigint for one of 64 bits. */
export function rawValue(register: Register, memory: DataView, base: number): number | bigint {
  const at = base + register.at;
  switch (register.width) {
    case 8:
      return memory.getUint8(at);
    case 16:
      return memory.getUint16(at, true);
    case 32:
      return memory.getUint32(at, true);
    case 64:
      return memory.getBigUint64(at, true);
  }
}
