// The types of a map's accessors over plain memory.
import type { Access, Unreadable, Writable } from "./access.ts";
import type { BitArray, RegisterArray } from "./array.ts";
import type { Composed, Joined } from "./derived.ts";
import type { Entries, PlainRegisters } from "./entries.ts";
import type { Fields, FieldValue } from "./field.ts";
import type { RawValue, Register, Registers } from "./register.ts";

type Simplify<T> = { [K in keyof T]: T[K] } & {};
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
type IsAssignable<R extends Register> = keyof R["fields"] extends never
  ? R["access"] extends Writable
    ? true
    : false
  : R["fields"][keyof R["fields"]]["access"] & Writable extends never
    ? false
    : true;
/** Registers that software can change: whole ones by their access word, others if a field of theirs can be written. */
type Assignable<M extends Registers> = {
  [K in keyof M]: IsAssignable<M[K]> extends true ? K : never;
}[keyof M];

/** The access words of what a path names. */
type PathAccess<M extends Registers, P extends string> = P extends `${infer K}.${infer F}`
  ? K extends keyof M
    ? F extends keyof M[K]["fields"]
      ? M[K]["fields"][F]["access"]
      : never
    : never
  : P extends keyof M
    ? M[P]["access"]
    : never;
/** Whether a read tells all that a joined value is made of. */
export type JoinedReadable<M extends Registers, P extends string> = [PathAccess<M, P>] extends [
  Exclude<Access, Unreadable>,
]
  ? true
  : false;
/** Whether software can write all that a joined value is made of. */
export type JoinedWritable<M extends Registers, P extends string> = [PathAccess<M, P>] extends [Writable]
  ? true
  : false;

/** Accessors of a group of registers over memory: each register's raw value, and each field under both names joined. */
export type RegistersView<M extends Registers> = Simplify<
  { readonly [K in keyof M as K extends Assignable<M> ? never : K]: RawValue<M[K]["width"]> } & {
    -readonly [K in keyof M as K extends Assignable<M> ? K : never]: RawValue<M[K]["width"]>;
  } & { readonly [P in ReadOnlyField<NamedFields<M>> as P["name"]]: FieldValue<P["field"]> } & {
    -readonly [P in WritableField<NamedFields<M>> as P["name"]]: FieldValue<P["field"]>;
  }
>;
/** Accessors of one register over memory: its whole value as `raw`, and its fields. */
export type RegisterView<R extends Register> = Simplify<
  (IsAssignable<R> extends true ? { raw: RawValue<R["width"]> } : { readonly raw: RawValue<R["width"]> }) &
    FieldsView<R["fields"]>
>;
type FieldsView<F extends Fields> = {
  readonly [K in keyof F as F[K]["access"] extends Writable ? never : K]: FieldValue<F[K]>;
} & { -readonly [K in keyof F as F[K]["access"] extends Writable ? K : never]: FieldValue<F[K]> };

/** A table of registers, or of groups of them, in memory. */
export interface ArrayView<E extends Register | Registers> {
  /** Elements. */
  readonly length: number;
  /** @throws RangeError for an index that is none of the table's */
  at(index: number): E extends Register ? RegisterView<E> : E extends Registers ? RegistersView<E> : never;
}
/** Bits in memory that each stand for one of many things. */
export type BitsView<A extends Access> = {
  readonly length: number;
  /** @throws RangeError for an index that is none of them */
  get(index: number): boolean;
} & (A extends Writable
  ? {
      /** @throws RangeError for an index that is none of them; TypeError for no boolean */
      set(index: number, value: boolean): void;
    }
  : unknown);

type OtherView<M extends Entries, K extends keyof M> =
  M[K] extends RegisterArray<infer E>
    ? ArrayView<E>
    : M[K] extends BitArray<infer A>
      ? BitsView<A>
      : M[K] extends Joined<infer V>
        ? V
        : M[K] extends Composed<infer V>
          ? V | undefined
          : never;
/** Joined values that software can write. */
type WritableJoined<M extends Entries> = {
  [K in keyof M]: M[K] extends Joined<number | bigint, infer P>
    ? JoinedWritable<PlainRegisters<M>, P> extends true
      ? K
      : never
    : never;
}[keyof M];
type OthersView<M extends Entries> = {
  readonly [
    K in keyof M as M[K] extends { readonly kind: string } ? (K extends WritableJoined<M> ? never : K) : never
  ]: OtherView<M, K>;
} & { -readonly [K in keyof M as K extends WritableJoined<M> ? K : never]: OtherView<M, K> };

/**
 * Typed accessors over memory that holds the registers of `M`: each register's raw value under its name, each field under
 * register and field joined, as `control` and `controlEnable`, and each table and derived value under its name. An assignment
 * throws, before anything is written, a TypeError for a wrong type and a RangeError for a value that the bits cannot hold or
 * the field has no name for.
 */
export type View<M extends Entries> = Simplify<
  RegistersView<PlainRegisters<M>> &
    OthersView<M> & {
      /** The same fields by register, as `fields.control.enable`: slower, and an editor shows the comment of each. */
      readonly fields: { readonly [K in keyof PlainRegisters<M>]: RegisterView<PlainRegisters<M>[K]> };
    }
>;
