// typed-struct's builder, with integers that refuse what does not fit: typed-struct itself cuts it in silence.
/// <reference types="node" preserve="true" />
import { Struct as Builder } from "typed-struct";
import { checked, checkedWide, integerRange, type IntegerRange } from "./integer.ts";

/** How an integer lies in memory. */
interface Codec {
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
const codecs: Readonly<Record<string, Codec>> = {
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
const arrays: Readonly<Record<string, Pick<Codec, "bytes" | "signed">>> = {
  UInt8Array: { bytes: 1, signed: false },
  Int8Array: { bytes: 1, signed: true },
  UInt16Array: { bytes: 2, signed: false },
  Int16Array: { bytes: 2, signed: true },
  UInt32Array: { bytes: 4, signed: false },
  Int32Array: { bytes: 4, signed: true },
  BigUInt64Array: { bytes: 8, signed: false },
  BigInt64Array: { bytes: 8, signed: true },
};

type Names = string | string[];
type Method = (names: Names, ...rest: unknown[]) => unknown;
type Ranges = Map<string, IntegerRange>;

/** Ranges by the compiled class. */
const rangesOf = new WeakMap<object, Ranges>();

class CheckingBuilder extends Builder<object, string> {
  constructor(structName: string) {
    super(structName);
    const ranges: Ranges = new Map();
    const methods = this as unknown as Record<string, Method>;
    const describe = (names: Names, { bytes, signed }: Pick<Codec, "bytes" | "signed">): IntegerRange => {
      const all = [names].flat();
      const range = integerRange(`${structName}.${all[0]}`, bytes, signed);
      for (const name of all) ranges.set(name, range);
      return range;
    };
    for (const [method, codec] of Object.entries(codecs))
      methods[method] = (names) => {
        const range = describe(names, codec);
        const check = (codec.bytes === 8 ? checkedWide : checked) as (
          value: number | bigint,
          range: IntegerRange,
        ) => number | bigint;
        const get = (_: string, memory: Buffer): number | bigint => codec.read(memory);
        const set = (_: string, memory: Buffer, value: number | bigint): boolean => {
          codec.write(memory, check(value, range));
          return true;
        };
        return this.Custom(names, codec.bytes, get, set);
      };
    for (const [method, element] of Object.entries(arrays)) {
      const declare = methods[method]!;
      methods[method] = (names, ...rest) => {
        describe(names, element);
        return declare(names, ...rest);
      };
    }
    const compile = this.compile;
    methods["compile"] = () => {
      const compiled = compile.call(this);
      rangesOf.set(compiled, ranges);
      return compiled;
    };
  }
}

/** The builder of struct classes; its types are typed-struct's. A 64-bit member takes an exact number too. */
export const Struct = CheckingBuilder as unknown as typeof Builder;

/**
 * What an integer member may be, or an element of an array of integers: for those who write to memory by themselves.
 * @throws RangeError for a member that is none
 */
export function memberRange(type: { readonly name: string }, member: string): IntegerRange {
  const range = rangesOf.get(type)?.get(member);
  if (!range) throw new RangeError(`${type.name} has no integer ${member}`);
  return range;
}

/** The names of the integer members, and of the arrays of integers. */
export const integerMembers = (type: object): readonly string[] => [...(rangesOf.get(type)?.keys() ?? [])];
