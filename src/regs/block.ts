import type { ByteMasks } from "./masks.ts";
import type { Registers } from "./register.ts";

/** A map of any registers: what walkers, decoders and tables work on. */
export interface RegisterBlock {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly registers: Registers;
  readonly masks: ByteMasks;
}
