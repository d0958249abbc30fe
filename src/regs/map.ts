import { accessorClass, viewName } from "./accessors.ts";
import type { RegisterBlock } from "./block.ts";
import { isPlain, sortEntries, type Entries, type PlainRegisters } from "./entries.ts";
import { liveEntries, type Live, type RegisterIo } from "./live.ts";
import { checkDerived, checkName, checkOverlap, checkRegister, checkSize } from "./map-check.ts";
import { byteMasks, type ByteMasks } from "./masks.ts";
import {
  fieldReference,
  registerReference,
  type FieldAt,
  type FieldPath,
  type FieldReference,
  type RegisterAt,
  type RegisterReference,
} from "./reference.ts";
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
   * often, hold it in a constant and call it with `new`: `view` serves every map, and no compiler sees through that.
   */
  readonly View: new (memory: DataView, base: number) => View<M>;
  /** Accessors over plain memory: an instance of `View`, at offset 0 by default. */
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
 * @throws RangeError if `size` is no positive integer; if a register ends past it, is not aligned, or overlaps another that it is no `alias` of; if fields
 *   overlap or exceed their register, or named values their field; if a name would clash, or a derived value is made of nothing
 */
export function registerMap<const M extends Entries>(name: string, size: number, entries: M): RegisterMap<M> {
  checkSize(name, size);
  const parts = sortEntries(entries, size);
  const names = new Set(Object.keys(entries));
  for (const key of names) checkName(`${name}.${key}`, key);
  for (const [key, register] of Object.entries(parts.all)) checkRegister(`${name}.${key}`, size, register);
  for (const [key, entry] of Object.entries(entries)) {
    if (!isPlain(entry)) continue;
    for (const field of Object.keys(entry.fields)) {
      checkName(`${name}.${key}.${field}`, field);
      const joined = viewName(key, field);
      if (names.has(joined)) throw new RangeError(`${name}.${joined} would be two things`);
      names.add(joined);
    }
  }
  checkOverlap(name, parts.all);
  for (const [key, derived] of Object.entries(parts.derived))
    checkDerived(`${name}.${key}`, derived, parts.all);
  let viewClass: ReturnType<typeof accessorClass> | undefined;
  let masks: ByteMasks | undefined;
  return {
    name,
    size,
    entries,
    registers: parts.all as PlainRegisters<M>,
    derived: parts.derived,
    get masks() {
      return (masks ??= byteMasks(name, size, parts.all));
    },
    get View() {
      return (viewClass ??= accessorClass(name, parts)) as new (memory: DataView, base: number) => View<M>;
    },
    view(memory, base = 0) {
      return new this.View(memory, base);
    },
    live(io, base = 0) {
      return liveEntries(name, parts, io, base) as Live<M>;
    },
    offsetOf: (register) => parts.all[register]!.at,
    register(register) {
      return registerReference(this, register) as never;
    },
    field(path) {
      return fieldReference(this, path) as never;
    },
  };
}
