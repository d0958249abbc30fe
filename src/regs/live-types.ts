// The types of live accessors: what each register of a map lets software do while the device is at work.
import type { Access, ReadChanges, Unreadable, Writable } from "./access.ts";
import type { BitArray, RegisterArray } from "./array.ts";
import type { Composed, Joined } from "./derived.ts";
import type { Entries, PlainRegisters } from "./entries.ts";
import type { Fields, FieldValue } from "./field.ts";
import type { RawValue, Register, Registers, Width } from "./register.ts";
import type { JoinedReadable, JoinedWritable } from "./view-types.ts";

/** Reaches registers one exact access at a time; `offset` and `width` are in bytes, `width` is 1, 2 or 4. */
export interface RegisterIo {
  /** Reads `width` bytes at once, little-endian. */
  read(offset: number, width: number): number;
  /** Writes `width` bytes at once. @param value 0 to `2 ** (8 * width) - 1` */
  write(offset: number, width: number, value: number): void;
}

/** The fields of a register as one read gave them, and all of its bits. Of write-only fields there is nothing. */
export type RegisterSnapshot<F extends Fields, W extends Width = 32> = {
  readonly [K in keyof F as F[K]["access"] extends Unreadable ? never : K]: FieldValue<F[K]>;
} & {
  readonly raw: RawValue<W>;
};
/** No function and no list, which TypeScript takes for an object of which all is left out. */
export interface NamedValues {
  /** Of functions. */
  readonly [Symbol.hasInstance]?: never;
  /** Of lists. */
  readonly [Symbol.iterator]?: never;
}
/** New values for fields that software can write; those that are write-only have to be there, since no read tells them. */
export type FieldChanges<F extends Fields> = {
  readonly [K in keyof F as F[K]["access"] extends Exclude<Writable, Unreadable> ? K : never]?: FieldValue<
    F[K]
  >;
} & {
  readonly [K in keyof F as F[K]["access"] extends Unreadable ? K : never]: FieldValue<F[K]>;
} & NamedValues;
/** Values for fields of a register that is written whole. */
export type FieldWrites<F extends Fields> = {
  readonly [K in keyof F as F[K]["access"] extends Writable ? K : never]?: FieldValue<F[K]>;
} & NamedValues;
/** What a read gives: a snapshot of the fields, or the value of a register without fields. */
export type LiveValue<W extends Width, F extends Fields> = keyof F extends never
  ? RawValue<W>
  : RegisterSnapshot<F, W>;

interface Readable<V> {
  /** Reads the register once (a 64-bit one as two halves, low first); fields come as a frozen snapshot. */
  read(): V;
}
interface WritableWhole<V> {
  /** Writes the register once (a 64-bit one as two halves, low first); RangeError for what does not fit. */
  write(value: V): void;
}
interface WritableFields<W extends Width, F extends Fields> {
  /**
   * One write of the whole register, without a read: its bits, or values of fields. Fields that are not named get their value
   * after a reset; status bits that a write changes are left alone.
   * @throws RangeError or TypeError, before the device is touched, for what does not fit
   */
  write(value: RawValue<W> | FieldWrites<F>): void;
}
interface Modifiable<F extends Fields> {
  /**
   * One read, one write: the named fields change; RW and RsvdP bits keep their value, RsvdZ bits are written 0, and bits
   * that a write would change are written so that they do not.
   * @throws TypeError or RangeError, before the device is touched: for what does not fit a field, for a field that is write-only
   *   and not named, for a register whose read has a side effect
   */
  modify(changes: FieldChanges<F>): void;
}
type AnyAccess<F extends Fields> = F[keyof F]["access"];

/** A register that may change between two reads: values come as snapshots, changes go in as one write. */
export type LiveRegister<W extends Width, A extends Access, F extends Fields> = keyof F extends never
  ? (A extends Unreadable ? unknown : Readable<RawValue<W>>) &
      (A extends Writable ? WritableWhole<RawValue<W>> : unknown)
  : ([AnyAccess<F>] extends [Unreadable] ? unknown : Readable<RegisterSnapshot<F, W>>) &
      ([AnyAccess<F> & Writable] extends [never] ? unknown : WritableFields<W, F>) &
      ([AnyAccess<F> & Writable] extends [never]
        ? unknown
        : [AnyAccess<F>] extends [Exclude<Access, ReadChanges>]
          ? Modifiable<F>
          : unknown);

type LiveOf<R> = R extends Register<infer W, infer A, infer F> ? LiveRegister<W, A, F> : never;
/** A live accessor for each register of a group. */
export type LiveRegisters<M extends Registers> = { readonly [K in keyof M]: LiveOf<M[K]> };
/** A table of live registers, or of groups of them. */
export interface LiveArray<E extends Register | Registers> {
  /** Elements. */
  readonly length: number;
  /** @throws RangeError for an index that is none of the table's */
  at(index: number): E extends Register ? LiveOf<E> : E extends Registers ? LiveRegisters<E> : never;
}
/** Bits that each stand for one of many things; each access reaches the one register that holds the bit. */
export type LiveBits<A extends Access> = {
  readonly length: number;
} & (A extends Unreadable
  ? unknown
  : {
      /** One read. @throws RangeError for an index that is none of them */
      get(index: number): boolean;
    }) &
  (A extends Exclude<Writable, Unreadable>
    ? {
        /** One read and one write; where a write of 1 acts, one write. @throws RangeError for an index that is none of them */
        set(index: number, value: boolean): void;
      }
    : unknown);

/** A live accessor for each entry of a map. */
export type Live<M extends Entries> = {
  readonly [K in keyof M]: M[K] extends Register<infer W, infer A, infer F>
    ? LiveRegister<W, A, F>
    : M[K] extends RegisterArray<infer E>
      ? LiveArray<E>
      : M[K] extends BitArray<infer A>
        ? LiveBits<A>
        : M[K] extends Joined<infer V, infer P>
          ? (JoinedReadable<PlainRegisters<M>, P> extends true ? Readable<V> : unknown) &
              (JoinedWritable<PlainRegisters<M>, P> extends true ? WritableWhole<V> : unknown)
          : M[K] extends Composed<infer V>
            ? Readable<V | undefined>
            : never;
};
