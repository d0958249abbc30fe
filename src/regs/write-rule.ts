// What a change of some bits of a register has to write into the others, so that it changes nothing else.
import { accessWords, readChanges } from "./access.ts";
import type { Field } from "./field.ts";
import { placedBits, placedMask } from "./field-value.ts";
import type { Register } from "./register.ts";

/** Of one register, as masks of its value. */
export interface WriteRule {
  /** Bits that are written back as they were read: RW and RsvdP, and what no field covers. */
  readonly keep: bigint;
  /** Bits that are written 1 to leave them alone; all others that are not kept are written 0, as W1C and RsvdZ are. */
  readonly ones: bigint;
  /** Bits of which a read tells nothing. */
  readonly unreadable: bigint;
  /** Names of the fields that are write-only. */
  readonly writeOnly: readonly string[];
  /** Why the register may not be read for the sake of a write; undefined where it may. */
  readonly refuses: string | undefined;
}

/** Works out the rule of a register; `name` is its own with its map's. */
export function writeRule(name: string, register: Register): WriteRule {
  const rule = {
    keep: (1n << BigInt(register.width)) - 1n,
    ones: 0n,
    unreadable: 0n,
    writeOnly: [] as string[],
    refuses: register.precious ? `reading "${name}" has a side effect` : undefined,
  };
  for (const [key, field] of Object.entries(register.fields)) {
    const { read, write } = accessWords[field.access];
    const mask = placedMask(field);
    if (field.precious || readChanges(field.access))
      rule.refuses ??= `reading "${name}.${key}" has a side effect`;
    if (read === "unreadable") {
      rule.unreadable |= mask;
      rule.writeOnly.push(key);
    }
    if (write === "zero-clears") rule.ones |= mask;
    if ((write !== "none" && write !== "store") || field.access === "rsvdz") rule.keep &= ~mask;
  }
  return rule;
}

/** The value of a register after a reset, its own or that of its fields, and the bits of which it is said: others are 0. */
export function resetValue(
  name: string,
  { width, reset, fields }: Register,
): { readonly bits: bigint; readonly said: bigint } {
  let bits = BigInt(reset ?? 0);
  let said = reset === undefined ? 0n : (1n << BigInt(width)) - 1n;
  for (const key in fields) {
    const field = fields[key]!;
    if (field.reset === undefined) continue;
    bits |= placedBits(`${name}.${key}`, field, field.reset);
    said |= placedMask(field);
  }
  return { bits, said };
}

/** A field's bits in its place after a reset: those that a write of a whole register gives what it does not name. */
export const neutralBits = (field: Field, reset: bigint): bigint => {
  const { write } = accessWords[field.access];
  if (write === "zero-clears") return placedMask(field);
  return write === "store" || (write === "none" && field.access !== "rsvdz") ? reset & placedMask(field) : 0n;
};
