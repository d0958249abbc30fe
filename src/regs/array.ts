// Many registers of one kind: tables of registers, and bits of which each stands for one of many things.
import type { Access } from "./access.ts";
import type { Aliased, Register, Registers } from "./register.ts";
import { said } from "./said.ts";
import type { FieldTraits } from "./traits.ts";

/** Registers, or groups of them, that repeat every `stride` bytes; the first lies where `element` says. */
export interface RegisterArray<E extends Register | Registers = Register | Registers> extends Aliased {
  /** What kind of entry it is. */
  readonly kind: "array";
  /** Elements. */
  readonly count: number;
  /** In bytes, from one element to the next. */
  readonly stride: number;
  /** What is repeated, where the first lies. */
  readonly element: E;
}
/** One bit each for `count` things, in registers of `width` bits: bit n is bit `n % width` of the register `n / width`. */
export interface BitArray<A extends Access = Access> extends FieldTraits, Aliased {
  /** What kind of entry it is. */
  readonly kind: "bits";
  /** Of the first register, in bytes. */
  readonly at: number;
  /** Bits. */
  readonly count: number;
  /** Of each bit. */
  readonly access: A;
  /** Of one register, in bits. */
  readonly width: 8 | 16 | 32;
}

/**
 * A table of `count` registers, or groups of them, `stride` bytes apart. What is wrong with it, its map says.
 * @example
 * const receiveAddresses = array(16, 8, { low: r32(0x5400, "rw"), high: r32(0x5404, { valid: rw(31) }) });
 */
export const array = <const E extends Register | Registers>(
  count: number,
  stride: number,
  element: E,
): RegisterArray<E> => ({ kind: "array", count, stride, element });

/**
 * `count` bits from byte `at` on, each of which stands for one of many things: a filter, a set of queues, pending vectors.
 * @param width of the registers that hold them, in bits: how a live one is reached
 */
export const bitArray = <A extends Access>(
  at: number,
  count: number,
  access: A,
  width: 8 | 16 | 32 = 32,
): BitArray<A> => ({ kind: "bits", at, count, access, width });

/** Whether what an array repeats is one register, not a group of them. */
export const isRegister = (element: Register | Registers): element is Register =>
  typeof (element as Register).at === "number" && typeof (element as Register).width === "number";

/**
 * The registers of an array one by one, named as `table[3]` or `table[3].low`.
 * @param size of the map, in bytes: of what lies outside there is one, so that the map is refused, whatever the count
 */
export function arrayRegisters(name: string, what: RegisterArray | BitArray, size: number): Registers {
  const registers: Record<string, Register> = {};
  /** Of an alias of a table each register is one of the same register there. */
  const put = (place: string, register: Register, offset: number): void => {
    const alias = aliasOf(what, place) ?? register.alias;
    registers[name + place] = {
      ...register,
      at: register.at + offset,
      ...(alias !== undefined && { alias }),
    };
  };
  if (what.kind === "bits") {
    const { at, count, width, kind: _, alias: __, ...rest } = what;
    const register = { ...rest, at, width, fields: {}, hex: true };
    for (let i = 0; i * width < count && (i - 1) * (width / 8) < size; i++)
      put(`[${i}]`, register, (i * width) / 8);
    return registers;
  }
  const { element, count, stride } = what;
  for (let i = 0; i < count && (i - 1) * stride < size; i++)
    if (isRegister(element)) put(`[${i}]`, element, i * stride);
    else
      for (const [key, register] of Object.entries(element)) {
        const alias = inGroup(register.alias, `${name}[${i}]`, element);
        put(`[${i}].${key}`, alias === undefined ? register : { ...register, alias }, i * stride);
      }
  return registers;
}

const eachOf = (
  of: string | readonly string[],
  make: (name: string) => string,
): string | readonly string[] => (typeof of === "string" ? make(of) : of.map(make));
const aliasOf = ({ alias }: Aliased, place: string): string | readonly string[] | undefined =>
  alias === undefined ? undefined : eachOf(alias, (table) => table + place);
/** Registers of a group call each other by their names in the group. */
const inGroup = (
  alias: string | readonly string[] | undefined,
  place: string,
  group: Registers,
): string | readonly string[] | undefined =>
  alias === undefined ? undefined : eachOf(alias, (of) => (Object.hasOwn(group, of) ? `${place}.${of}` : of));

/** @throws RangeError for an index that is none of `count` */
export function checkIndex(name: string, count: number, index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new RangeError(`"${name}" must be given an index from 0 to ${count - 1}, not ${said(index)}`);
}
