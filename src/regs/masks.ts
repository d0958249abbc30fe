import { accessWords, type Access } from "./access.ts";
import { fieldMask, type Traits } from "./field.ts";
import { hasFields, type Registers } from "./register.ts";

/** Byte tables over a map: one bit of a table for each bit of the registers. */
export interface ByteMasks {
  /** Value after reset. */
  readonly reset: Uint8Array;
  /** Bits that a write stores. */
  readonly write: Uint8Array;
  /** Bits that a write of 1 clears. */
  readonly w1c: Uint8Array;
  /** Bits that the passthrough model owns. */
  readonly emulated: Uint8Array;
  /** Bits that may change by themselves. */
  readonly volatile: Uint8Array;
  /** Bits whose read has a side effect. */
  readonly precious: Uint8Array;
  /** Bits that survive a function-level reset. */
  readonly sticky: Uint8Array;
  /** Bits that the map describes at all. */
  readonly defined: Uint8Array;
}

const add = (table: Uint8Array, at: number, width: number, value: bigint): void => {
  for (let i = 0; i < width / 8; i++) table[at + i]! |= Number((value >> BigInt(8 * i)) & 0xffn);
};

/** Derives every byte table from the registers' one description. */
export function byteMasks(size: number, registers: Registers): ByteMasks {
  const table = (): Uint8Array => new Uint8Array(size);
  const masks = {
    reset: table(),
    write: table(),
    w1c: table(),
    emulated: table(),
    volatile: table(),
    precious: table(),
    sticky: table(),
    defined: table(),
  };
  const mark = (at: number, width: number, bits: bigint, access: Access, traits: Traits): void => {
    const word = accessWords[access];
    if (word.write === "store") add(masks.write, at, width, bits);
    if (word.write === "clear") add(masks.w1c, at, width, bits);
    if (word.sticky) add(masks.sticky, at, width, bits);
    if (traits.emulated) add(masks.emulated, at, width, bits);
    if (traits.volatile) add(masks.volatile, at, width, bits);
    if (traits.precious) add(masks.precious, at, width, bits);
    add(masks.defined, at, width, bits);
  };
  for (const register of Object.values(registers)) {
    const { at, width } = register;
    add(masks.reset, at, width, BigInt(register.reset));
    if (!hasFields(register)) {
      mark(at, width, (1n << BigInt(width)) - 1n, register.access, register);
      continue;
    }
    for (const field of Object.values(register.fields)) {
      // A trait of the register holds for each of its fields.
      const traits = {
        emulated: field.emulated ?? register.emulated,
        volatile: field.volatile ?? register.volatile,
        precious: field.precious ?? register.precious,
      };
      mark(at, width, BigInt(fieldMask(field)) << BigInt(field.lo), field.access, traits);
    }
  }
  return masks;
}
