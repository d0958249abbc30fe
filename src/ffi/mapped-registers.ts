import { read, type Pointer } from "bun:ffi";
import type { RegisterIo } from "../regs/live.ts";
import { compilerBarrier, orderAccesses } from "./barrier.ts";
import type { Mapping } from "./mapping.ts";

/** Stores go through typed arrays over parts of this many bytes. */
const partSize = 2 ** 30;

/**
 * How 64 bits are read and written: as two halves, lower or upper first, or by one access of 8 bytes, for the registers
 * whose specification asks for it.
 */
export type WideAccess = "low-first" | "high-first" | "whole";

interface Part {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
}

/**
 * A device's registers in a mapped BAR, or memory that a device writes. Each call is one access of exactly its width (a
 * 64-bit one two, unless "whole"), which the compiler neither repeats, moves, merges nor drops; it is in order with
 * accesses to ordinary memory around it. Values are little-endian, as PCI's are. Offsets are in bytes from the start of
 * the area, aligned to the width: else RangeError. After the mapping's `dispose`, VfioError (`ECLOSED`).
 *
 * Reads go through bun:ffi's `read`, since compiled code takes a typed array for memory that nobody else changes, and a
 * DataView reads byte by byte until it is compiled; Atomics would write to the device.
 */
export class MappedRegisters implements RegisterIo {
  /** In bytes. */
  readonly size: number;
  readonly #mapping: Mapping;
  readonly #start: number;
  readonly #parts: Part[] = [];

  /**
   * @param area of the mapping, in bytes; all of it without
   * @throws RangeError for what lies outside, TypeError for memory without access; a store throws one where it is read only
   */
  constructor(
    mapping: Mapping,
    area: { readonly offset: number; readonly size: number } = { offset: 0, size: mapping.size },
  ) {
    const { offset, size } = area;
    mapping.requireAccess("read");
    if (
      !Number.isSafeInteger(offset) ||
      !Number.isSafeInteger(size) ||
      offset < 0 ||
      size < 0 ||
      offset + size > mapping.size
    )
      throw new RangeError(`${size} bytes at ${offset} do not lie in the ${mapping.size} of ${mapping.name}`);
    this.#mapping = mapping;
    this.#start = offset;
    this.size = size;
  }

  /** One load of 8 bits. @param offset in bytes @throws RangeError outside of the area */
  read8(offset: number): number {
    const value = read.u8(this.#mapping.address as Pointer, this.#at(offset, 1));
    orderAccesses?.();
    return value;
  }
  /**
   * One load of 16 bits, little-endian.
   * @param offset in bytes, a multiple of 2
   * @throws RangeError for another, or outside of the area
   */
  read16(offset: number): number {
    const value = read.u16(this.#mapping.address as Pointer, this.#at(offset, 2));
    orderAccesses?.();
    return value;
  }
  /**
   * One load of 32 bits, little-endian.
   * @param offset in bytes, a multiple of 4
   * @throws RangeError for another, or outside of the area
   */
  read32(offset: number): number {
    const value = read.u32(this.#mapping.address as Pointer, this.#at(offset, 4));
    orderAccesses?.();
    return value;
  }
  /**
   * 64 bits, in one load or two halves.
   * @param offset in bytes, a multiple of 8
   * @throws RangeError for another, or outside of the area
   */
  read64(offset: number, access: WideAccess = "low-first"): bigint {
    const at = this.#at(offset, 8) - this.#start;
    if (access === "whole") {
      const value = read.u64(this.#mapping.address as Pointer, this.#start + at);
      orderAccesses?.();
      return value;
    }
    const first = this.read32(access === "low-first" ? at : at + 4);
    const second = this.read32(access === "low-first" ? at + 4 : at);
    return access === "low-first" ? join(first, second) : join(second, first);
  }

  /**
   * One store of 8 bits.
   * @param value 0 to 0xff
   * @throws RangeError for another, or an offset outside of the area
   */
  write8(offset: number, value: number): void {
    const at = this.#at(offset, 1);
    if ((value & 0xff) !== value) refuse(value, 8);
    orderAccesses?.();
    this.#part(at).u8[at % partSize] = value;
    compilerBarrier();
  }
  /**
   * One store of 16 bits, little-endian.
   * @param value 0 to 0xffff
   * @throws RangeError for another, or an offset that `read16` refuses
   */
  write16(offset: number, value: number): void {
    const at = this.#at(offset, 2);
    if ((value & 0xffff) !== value) refuse(value, 16);
    orderAccesses?.();
    this.#part(at).u16[(at % partSize) >>> 1] = value;
    compilerBarrier();
  }
  /**
   * One store of 32 bits, little-endian.
   * @param value 0 to 0xffffffff
   * @throws RangeError for another, or an offset that `read32` refuses
   */
  write32(offset: number, value: number): void {
    const at = this.#at(offset, 4);
    if (value >>> 0 !== value) refuse(value, 32);
    orderAccesses?.();
    this.#part(at).u32[(at % partSize) >>> 2] = value;
    compilerBarrier();
  }
  /**
   * 64 bits, in one store or two halves.
   * @param value 0 to `2n ** 64n - 1n`
   * @throws RangeError for another, or an offset that `read64` refuses
   */
  write64(offset: number, value: bigint, access: WideAccess = "low-first"): void {
    const at = this.#at(offset, 8);
    if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) refuse(value, 64);
    if (access === "whole") {
      orderAccesses?.();
      this.#part(at).u64[(at % partSize) >>> 3] = value;
      compilerBarrier();
      return;
    }
    const low = Number(value & 0xffff_ffffn);
    const high = Number(value >> 32n);
    if (access === "low-first") this.write32(offset, low);
    this.write32(offset + 4, high);
    if (access === "high-first") this.write32(offset, low);
  }

  /** For register maps: `map.live(registers)`. @param width 1, 2 or 4, in bytes */
  read(offset: number, width: number): number {
    if (width === 4) return this.read32(offset);
    if (width === 2) return this.read16(offset);
    if (width === 1) return this.read8(offset);
    throw new RangeError(`the width of an access must be 1, 2 or 4 bytes, not ${width}`);
  }
  /** For register maps: `map.live(registers)`. @param width 1, 2 or 4, in bytes @throws RangeError */
  write(offset: number, width: number, value: number): void {
    if (width === 4) this.write32(offset, value);
    else if (width === 2) this.write16(offset, value);
    else if (width === 1) this.write8(offset, value);
    else throw new RangeError(`the width of an access must be 1, 2 or 4 bytes, not ${width}`);
  }

  /** The place in the mapping. A fraction or NaN fails one of the comparisons. */
  #at(offset: number, width: number): number {
    // The type first: text would be put together with the start, and an object may have another value each time.
    if (typeof offset !== "number") throw new TypeError(`an offset must be a number, not ${typeof offset}`);
    const at = this.#start + offset;
    if (offset >= 0 && offset + width <= this.size && at % width === 0) return at;
    throw new RangeError(
      `${width} bytes at ${offset} are not aligned, or do not lie in the ${this.size} of ${this.#mapping.name}`,
    );
  }

  #part(at: number): Part {
    // Refuses use after `dispose`: what is kept here has no bytes left then, and a store would be dropped in silence.
    void this.#mapping.address;
    const index = Math.floor(at / partSize);
    const part = this.#parts[index];
    // No bytes are left where somebody transferred the buffer: a store would be dropped in silence.
    return part && part.u8.length > 0 ? part : (this.#parts[index] = this.#makePart(index));
  }

  #makePart(index: number): Part {
    const start = index * partSize;
    const { buffer, byteOffset, length } = this.#mapping.view(
      start,
      Math.min(partSize, this.#mapping.size - start),
    );
    return {
      u8: new Uint8Array(buffer, byteOffset, length),
      u16: new Uint16Array(buffer, byteOffset, Math.floor(length / 2)),
      u32: new Uint32Array(buffer, byteOffset, Math.floor(length / 4)),
      u64: new BigUint64Array(buffer, byteOffset, Math.floor(length / 8)),
    };
  }
}

const join = (low: number, high: number): bigint => BigInt(low) | (BigInt(high) << 32n);

function refuse(value: unknown, bits: number): never {
  const type = bits === 64 ? "bigint" : "number";
  if (typeof value !== type)
    throw new TypeError(`a value of ${bits} bits is a ${type}, not a ${typeof value}`);
  throw new RangeError(`${String(value)} does not fit in ${bits} bits`);
}
