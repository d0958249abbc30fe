import { accessorClass } from "./accessors.ts";
import type { RegisterBlock } from "./block.ts";
import { isPlain, type Entries, type PlainRegisters } from "./entries.ts";
import { mapLine, printsAs } from "./inspect.ts";
import { lazy, onceEach } from "./lazy.ts";
import { liveEntries, type Live, type RegisterIo } from "./live.ts";
import { checkedEntries } from "./check/map.ts";
import { byteMasks } from "./masks.ts";
import {
  fieldReference,
  registerReference,
  type FieldAt,
  type FieldPath,
  type FieldReference,
  type RegisterAt,
  type RegisterReference,
} from "./reference.ts";
import type { Register } from "./register.ts";
import type { View } from "./view-types.ts";

export type { RegisterBlock } from "./block.ts";

/** A block of registers, described once. */
export interface RegisterMap<M extends Entries> extends RegisterBlock {
  /** Also, as `table[3]`, those of its tables. */
  readonly registers: PlainRegisters<M>;
  /** As it was described. */
  readonly entries: M;
  /**
   * The class of the accessors over plain memory; `base` is the byte offset of the map in `memory`. Where instances are made
   * often, hold it in a constant and call it with `new`: `view` serves every map, and no compiler sees through that. It throws
   * what `view` throws.
   */
  readonly View: new (memory: DataView, base: number) => View<M>;
  /**
   * Accessors over plain memory: an instance of `View`, at offset 0 by default.
   * @throws TypeError for what is no DataView; RangeError where the map does not lie inside of it
   */
  view(memory: DataView, base?: number): View<M>;
  /** Accessors over registers that may change at any time, reached through `io`; `base` is added to each offset. */
  live(io: RegisterIo, base?: number): Live<M>;
  /** Byte offset of a register in the map. */
  offsetOf(register: keyof PlainRegisters<M> & string): number;
  /** A register as a value to hand on: its offset, width and masks. */
  register<K extends keyof PlainRegisters<M> & string>(name: K): RegisterReference<PlainRegisters<M>[K]>;
  /**
   * A field as a value to hand on: its register, bits and values.
   * @example
   * const memorySpace = endpointHeader.field("command.memorySpace");
   * memorySpace.of(0x0006); // true
   */
  field<P extends FieldPath<PlainRegisters<M>>>(
    path: P,
  ): FieldReference<FieldAt<PlainRegisters<M>, P>, RegisterAt<PlainRegisters<M>, P>>;
}

/**
 * Describes a block of registers, once. Plain data in; accessors, byte masks, decoder and diff come from it.
 * @param size bytes that the block takes
 * @throws RangeError, by register and field, if `size` is no positive integer; if a register lies outside of it, is not aligned, or
 *   overlaps another that it is no `alias` of; if fields overlap or exceed their register, named values or a reset value their
 *   field; if an access word is none, a scale counts nothing or goes beyond what its type holds; if a name would clash, or a value
 *   of several is made of nothing. TypeError for a field's reset value of another type
 */
export function registerMap<const M extends Entries>(name: string, size: number, entries: M): RegisterMap<M> {
  const map = ownMap(name, size, () => entries);
  void map.registers;
  return map;
}

/**
 * `registerMap` for the maps of this package: made and checked when first used, since a program imports all and uses a few.
 * @throws as that, at its first use
 */
export function ownMap<const M extends Entries>(name: string, size: number, make: () => M): RegisterMap<M> {
  const described = lazy(make);
  const parts = lazy(() => checkedEntries(name, size, described()));
  const viewClass = lazy(() => accessorClass(name, size, parts()));
  const masks = lazy(() => byteMasks(name, size, parts().all));
  // What stands there as one register needs no look at the others.
  const find = (register: string): Register | undefined => {
    const entries = described();
    const entry = Object.hasOwn(entries, register) ? entries[register] : undefined;
    if (entry && isPlain(entry)) return entry;
    return Object.hasOwn(parts().all, register) ? parts().all[register] : undefined;
  };
  const referred = { name, find };
  const register = onceEach((one) => registerReference(referred, one));
  const field = onceEach((path) => fieldReference(referred, path));
  const map: RegisterMap<M> = {
    name,
    size,
    get entries() {
      return described();
    },
    get registers() {
      return parts().all as PlainRegisters<M>;
    },
    get derived() {
      return parts().derived;
    },
    get masks() {
      return masks();
    },
    get View() {
      return viewClass() as new (memory: DataView, base: number) => View<M>;
    },
    view(memory, base = 0) {
      return new this.View(memory, base);
    },
    live(io, base = 0) {
      return liveEntries(name, parts(), io, base) as Live<M>;
    },
    offsetOf: (name) => register(name).at,
    register: (name) => register(name) as never,
    field: (path) => field(path) as never,
  };
  return printsAs(map, () => mapLine(name, size, described()));
}
