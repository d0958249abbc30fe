import { accessorClass, viewName } from "./accessors.ts";
import type { Writable } from "./access.ts";
import type { RegisterBlock } from "./block.ts";
import type { FieldValue } from "./field.ts";
import { liveRegisters, type Live, type RegisterIo } from "./live.ts";
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
import type { Raw, Register, Registers } from "./register.ts";

export type { RegisterBlock } from "./block.ts";

type Show<T> = { [K in keyof T]: T[K] } & {};
/** Each field of each register, with the name that it has in a view: `control` and `enable` give `controlEnable`. */
type NamedFields<M extends Registers> = {
  [K in keyof M & string]: {
    [F in keyof M[K]["fields"] & string]: {
      readonly name: `${K}${Capitalize<F>}`;
      readonly field: M[K]["fields"][F];
    };
  }[keyof M[K]["fields"] & string];
}[keyof M & string];
type WritableField<P> = P extends { readonly field: { readonly access: Writable } } ? P : never;
type ReadOnlyField<P> = P extends { readonly field: { readonly access: Writable } } ? never : P;
/** Registers that software can change: whole ones by their access word, others if a field of theirs can be written. */
type Assignable<M extends Registers> = {
  [K in keyof M]: keyof M[K]["fields"] extends never
    ? M[K]["access"] extends Writable
      ? K
      : never
    : M[K]["fields"][keyof M[K]["fields"]]["access"] & Writable extends never
      ? never
      : K;
}[keyof M];

/**
 * Typed accessors over memory that holds the registers of `M`: each register's raw value under its name, each field under
 * register and field joined, as `control` and `controlEnable`. An assignment throws, before anything is written, a TypeError
 * for a wrong type and a RangeError for a value that the bits cannot hold or the field has no name for.
 */
export type View<M extends Registers> = Show<
  { readonly [K in keyof M as K extends Assignable<M> ? never : K]: Raw<M[K]["width"]> } & {
    -readonly [K in keyof M as K extends Assignable<M> ? K : never]: Raw<M[K]["width"]>;
  } & { readonly [P in ReadOnlyField<NamedFields<M>> as P["name"]]: FieldValue<P["field"]> } & {
    -readonly [P in WritableField<NamedFields<M>> as P["name"]]: FieldValue<P["field"]>;
  }
>;

export interface RegisterMap<M extends Registers> extends RegisterBlock {
  readonly registers: M;
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
  offsetOf(register: keyof M & string): number;
  /** A register as a value to hand on: its offset, width and masks. */
  register<K extends keyof M & string>(name: K): RegisterReference<M[K]>;
  /**
   * A field as a value to hand on: its register, bits and values.
   * @example
   * const memorySpace = endpointHeader.field("command.memorySpace");
   * memorySpace.of(0x0006); // true
   */
  field<P extends FieldPath<M>>(path: P): FieldReference<FieldAt<M, P>, RegisterAt<M, P>>;
}

/**
 * Describes a block of registers, once. Plain data in; accessors, byte masks, decoder and diff come from it.
 * @param size bytes that the block takes
 * @throws RangeError if a register ends past `size`, fields overlap or exceed their register, or a name would clash
 */
export function registerMap<const M extends Registers>(
  name: string,
  size: number,
  registers: M,
): RegisterMap<M> {
  const names = new Set(Object.keys(registers));
  for (const [key, register] of Object.entries(registers)) {
    for (const field of Object.keys(register.fields)) {
      const joined = viewName(key, field);
      if (names.has(joined)) throw new RangeError(`${name}.${joined} would be two things`);
      names.add(joined);
    }
    if (!Number.isInteger(register.at) || register.at < 0 || register.at + register.width / 8 > size)
      throw new RangeError(`${name}.${key} lies outside of the map's ${size} bytes`);
    checkFields(`${name}.${key}`, register);
  }
  let viewClass: ReturnType<typeof accessorClass> | undefined;
  let masks: ByteMasks | undefined;
  return {
    name,
    size,
    registers,
    get masks() {
      return (masks ??= byteMasks(size, registers));
    },
    get View() {
      return (viewClass ??= accessorClass(registers)) as new (memory: DataView, base: number) => View<M>;
    },
    view(memory, base = 0) {
      return new this.View(memory, base);
    },
    live(io, base = 0) {
      return liveRegisters(registers, io, base) as Live<M>;
    },
    offsetOf: (register) => registers[register]!.at,
    register(register) {
      return registerReference(this, register) as unknown as RegisterReference<M[typeof register]>;
    },
    field(path) {
      return fieldReference(this, path) as never;
    },
  };
}

function checkFields(where: string, register: Register): void {
  const fields = Object.entries(register.fields);
  if (fields.length > 0 && register.width === 64)
    throw new RangeError(`${where}: a 64-bit register has no fields`);
  let taken = 0n;
  for (const [key, { hi, lo }] of fields) {
    if (!(lo >= 0 && hi >= lo && hi < register.width))
      throw new RangeError(`${where}.${key}: bits ${hi}:${lo} do not lie in ${register.width} bits`);
    const bits = ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo);
    if (taken & bits) throw new RangeError(`${where}.${key} overlaps another field`);
    taken |= bits;
  }
}
