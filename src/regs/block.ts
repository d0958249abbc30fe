import type { Derived } from "./derived.ts";
import type { ByteMasks } from "./masks.ts";
import type { Registers } from "./register.ts";

/** A map of any registers: what walkers, decoders and tables work on. */
export interface RegisterBlock {
  /** In messages. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** One by one: those of a table are `table[3]`, or `table[3].low` of a group. */
  readonly registers: Registers;
  /** Values of several registers or fields, by their names. */
  readonly derived: Readonly<Record<string, Derived>>;
  /** Tables of a byte for each of the map: what software may do to each bit. */
  readonly masks: ByteMasks;
}
