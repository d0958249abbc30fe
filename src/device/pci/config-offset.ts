// Places in config space by name. The model works on registers of a map, where the walker found their capability, and on
// accesses of the guest that were checked: a bare number does not type-check as either.
import type { RegisterReference } from "../../regs/reference.ts";

declare const named: unique symbol;

/** Byte offset in config space that a register map, a capability list or a checked access gave. */
export type ConfigOffset = number & { readonly [named]: "config offset" };

/** Where the map of a register begins: a capability as the walker found it, or the header. */
export interface Located {
  /** Byte offset in config space. */
  readonly offset: number;
}

/** Where the header's registers begin. */
export const headerStart: Located = { offset: 0 };

/** Byte offset of a register. @param capability that its map describes; the header without */
export const offsetOf = (
  register: Pick<RegisterReference, "at">,
  capability: Located = headerStart,
): ConfigOffset => (capability.offset + register.at) as ConfigOffset;

/** Byte offset of a capability's first register. */
export const startOf = (capability: Located): ConfigOffset => capability.offset as ConfigOffset;
