/// <reference types="node" preserve="true" />
// The members of integers that a struct may have, by the builder's method.

/** How an integer lies in memory. */
export interface Codec {
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  read(memory: Buffer): number | bigint;
  /** @param value one that fits */
  write(memory: Buffer, value: number | bigint): void;
}

const narrow = (
  bytes: 1 | 2 | 4,
  signed: boolean,
  read: (memory: Buffer) => number,
  write: (memory: Buffer, value: number) => unknown,
): Codec => ({ bytes, signed, read, write: (memory, value) => void write(memory, value as number) });

/** The integer members that a declaration may have, by the builder's method. */
export const codecs: Readonly<Record<string, Codec>> = {
  UInt8: narrow(
    1,
    false,
    (memory) => memory.readUInt8(),
    (memory, value) => memory.writeUInt8(value),
  ),
  Int8: narrow(
    1,
    true,
    (memory) => memory.readInt8(),
    (memory, value) => memory.writeInt8(value),
  ),
  UInt16LE: narrow(
    2,
    false,
    (memory) => memory.readUInt16LE(),
    (memory, value) => memory.writeUInt16LE(value),
  ),
  Int16LE: narrow(
    2,
    true,
    (memory) => memory.readInt16LE(),
    (memory, value) => memory.writeInt16LE(value),
  ),
  UInt32LE: narrow(
    4,
    false,
    (memory) => memory.readUInt32LE(),
    (memory, value) => memory.writeUInt32LE(value),
  ),
  Int32LE: narrow(
    4,
    true,
    (memory) => memory.readInt32LE(),
    (memory, value) => memory.writeInt32LE(value),
  ),
  BigUInt64LE: {
    bytes: 8,
    signed: false,
    read: (memory) => memory.readBigUInt64LE(),
    write: (memory, value) => void memory.writeBigUInt64LE(value as bigint),
  },
  BigInt64LE: {
    bytes: 8,
    signed: true,
    read: (memory) => memory.readBigInt64LE(),
    write: (memory, value) => void memory.writeBigInt64LE(value as bigint),
  },
};

/** Arrays of integers: their elements are a typed array's, which checks nothing; see `memberRange`. */
export const arrays: Readonly<Record<string, Pick<Codec, "bytes" | "signed">>> = {
  UInt8Array: { bytes: 1, signed: false },
  Int8Array: { bytes: 1, signed: true },
  UInt16Array: { bytes: 2, signed: false },
  Int16Array: { bytes: 2, signed: true },
  UInt32Array: { bytes: 4, signed: false },
  Int32Array: { bytes: 4, signed: true },
  BigUInt64Array: { bytes: 8, signed: false },
  BigInt64Array: { bytes: 8, signed: true },
};
