// What a register map is made of: registers, tables of them, and values made of several.
import { arrayRegisters, type BitArray, type RegisterArray } from "./array.ts";
import type { Derived } from "./derived.ts";
import type { Register, Registers } from "./register.ts";

/** One entry of a map. */
export type Entry = Register | RegisterArray | BitArray | Derived;
/** The entries of a map by their names. */
export type Entries = Readonly<Record<string, Entry>>;

/** The entries that are one register each. */
export type PlainRegisters<M extends Entries> = {
  [K in keyof M as M[K] extends { readonly kind: string } ? never : K]: Extract<M[K], Register>;
};
/** The entries that are no register. */
export type OtherEntries<M extends Entries> = {
  [K in keyof M as M[K] extends { readonly kind: string } ? K : never]: M[K];
};

/** Whether an entry is one register. */
export const isPlain = (entry: Entry): entry is Register => !("kind" in entry);

/** The entries of a map by what they are. */
export interface SortedEntries {
  /** Registers. */
  readonly plain: Registers;
  /** Also those of tables, as `table[3]`. */
  readonly all: Registers;
  /** Tables of registers or bits. */
  readonly tables: Readonly<Record<string, RegisterArray | BitArray>>;
  /** Values made of several. */
  readonly derived: Readonly<Record<string, Derived>>;
}

/**
 * The registers of a map one by one, those of a table as `table[3]`; and the derived entries apart.
 * @param size of the map, in bytes
 */
export function sortEntries(entries: Entries, size: number): SortedEntries {
  const tables: Record<string, RegisterArray | BitArray> = {};
  const derived: Record<string, Derived> = {};
  let others = 0;
  for (const [name, entry] of Object.entries(entries)) {
    if (isPlain(entry)) continue;
    others++;
    if (entry.kind === "array" || entry.kind === "bits") tables[name] = entry;
    else derived[name] = entry;
  }
  if (others === 0) return { plain: entries as Registers, all: entries as Registers, tables, derived };
  const plain: Record<string, Register> = {};
  const all: Record<string, Register> = {};
  for (const [name, entry] of Object.entries(entries)) {
    const table = tables[name];
    if (isPlain(entry)) plain[name] = all[name] = entry;
    else if (table) Object.assign(all, arrayRegisters(name, table, size));
  }
  return { plain, all, tables, derived };
}
