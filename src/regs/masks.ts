import { accessWords, isReserved, readChanges, type Access } from "./access.ts";
import { placedMask } from "./field-value.ts";
import { hasFields, type Registers } from "./register.ts";
import type { FieldTraits } from "./traits.ts";
import { resetValue } from "./write-rule.ts";

/** Byte tables over a map: one bit of a table for each bit of the registers. */
export interface ByteMasks {
  /** Value after reset. */
  readonly reset: Uint8Array;
  /** Bits that a write reaches as they are: it stores them, or a 1 starts something. */
  readonly write: Uint8Array;
  /** Bits that a write of 1 clears. */
  readonly w1c: Uint8Array;
  /** Bits that a write of 1 sets. */
  readonly w1s: Uint8Array;
  /** Bits that a write of 1 inverts. */
  readonly w1t: Uint8Array;
  /** Bits that a write of 0 clears. */
  readonly w0c: Uint8Array;
  /** Bits of which a 1 starts something, and which go back to 0 by themselves; they are in `write` too. */
  readonly selfClearing: Uint8Array;
  /** Bits that a read clears. */
  readonly rc: Uint8Array;
  /** Bits that a read sets. */
  readonly rs: Uint8Array;
  /** Bits of which a read tells nothing. */
  readonly writeOnly: Uint8Array;
  /** Bits that the passthrough model owns. */
  readonly emulated: Uint8Array;
  /** Bits that may change by themselves. */
  readonly volatile: Uint8Array;
  /** Bits whose read has a side effect. */
  readonly precious: Uint8Array;
  /** Bits that survive a function-level reset. */
  readonly sticky: Uint8Array;
  /** Bits of registers that are reserved whole. */
  readonly reserved: Uint8Array;
  /** Bits that the map describes at all. */
  readonly defined: Uint8Array;
}

const add = (table: Uint8Array, at: number, width: number, value: bigint): void => {
  for (let i = 0; i < width / 8; i++) table[at + i]! |= Number((value >> BigInt(8 * i)) & 0xffn);
};

/** The table in which a write's effect stands; none for what is read-only. */
const writeTables = {
  none: undefined,
  store: "write",
  start: "write",
  clear: "w1c",
  set: "w1s",
  toggle: "w1t",
  "zero-clears": "w0c",
} as const;

/** Derives every byte table from the registers' one description. */
export function byteMasks(map: string, size: number, registers: Registers): ByteMasks {
  const table = (): Uint8Array => new Uint8Array(size);
  const masks = {
    reset: table(),
    write: table(),
    w1c: table(),
    w1s: table(),
    w1t: table(),
    w0c: table(),
    selfClearing: table(),
    rc: table(),
    rs: table(),
    writeOnly: table(),
    emulated: table(),
    volatile: table(),
    precious: table(),
    sticky: table(),
    reserved: table(),
    defined: table(),
  };
  const mark = (at: number, width: number, bits: bigint, access: Access, traits: FieldTraits): void => {
    const { read, write, sticky } = accessWords[access];
    const written = writeTables[write];
    if (written) add(masks[written], at, width, bits);
    if (write === "start") add(masks.selfClearing, at, width, bits);
    if (read === "clears") add(masks.rc, at, width, bits);
    if (read === "sets") add(masks.rs, at, width, bits);
    if (read === "unreadable") add(masks.writeOnly, at, width, bits);
    if (sticky) add(masks.sticky, at, width, bits);
    if (traits.emulated) add(masks.emulated, at, width, bits);
    // What a read changes, or tells nothing of, cannot be served from what was read before.
    if (traits.volatile || read !== "none") add(masks.volatile, at, width, bits);
    if (traits.precious || readChanges(access)) add(masks.precious, at, width, bits);
    add(masks.defined, at, width, bits);
  };
  for (const [name, register] of Object.entries(registers)) {
    const { at, width } = register;
    add(masks.reset, at, width, resetValue(`${map}.${name}`, register).bits);
    if (!hasFields(register)) {
      if (isReserved(register.access)) add(masks.reserved, at, width, (1n << BigInt(width)) - 1n);
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
      mark(at, width, placedMask(field), field.access, traits);
    }
  }
  return masks;
}
