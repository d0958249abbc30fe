// Many registers of one kind: tables of registers, and bits of which each stands for one of many things.
import type { Access } from "./access.ts";
import type { Register, Registers } from "./register.ts";
import type { FieldTraits } from "./traits.ts";

/** Registers, or groups of them, that repeat every `stride` bytes; the first lies where `element` says. */
export interface RegisterArray<E extends Register | Registers = Register | Registers> {
  readonly kind: "array";
  readonly count: number;
  /** In bytes, from one element to the next. */
  readonly stride: number;
  readonly element: E;
}
/** One bit each for `count` things, in registers of `width` bits: bit n is bit `n % width` of the register `n / width`. */
export interface BitArray<A extends Access = Access> extends FieldTraits {
  readonly kind: "bits";
  /** Of the first register, in bytes. */
  readonly at: number;
  /** Bits. */
  readonly count: number;
  readonly access: A;
  /** Of one register, in bits. */
  readonly width: 8 | 16 | 32;
}

/**
 * A table of `count` registers, or groups of them, `stride` bytes apart.
 * @example
 * const receiveAddresses = array(16, 8, { low: r32(0x5400, "rw"), high: r32(0x5404, { valid: rw(31) }) });
 * @throws RangeError for a count that is no positive integer, or elements that overlap
 */
export function array<const E extends Register | Registers>(
  count: number,
  stride: number,
  element: E,
): RegisterArray<E> {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`an array must have 1 element or more, not ${count}`);
  const parts = isRegister(element) ? [element] : Object.values(element as Registers);
  const from = Math.min(...parts.map(({ at }) => at));
  const to = Math.max(...parts.map(({ at, width }) => at + width / 8));
  if (!Number.isInteger(stride) || stride < to - from)
    throw new RangeError(
      `an array of elements of ${to - from} bytes must have a stride of that or more, not ${stride}`,
    );
  return { kind: "array", count, stride, element };
}

/**
 * `count` bits from byte `at` on, each of which stands for one of many things: a filter, a set of queues, pending vectors.
 * @param width of the registers that hold them, in bits: how a live one is reached
 * @throws RangeError for a count that is no positive integer
 */
export function bitArray<A extends Access>(
  at: number,
  count: number,
  access: A,
  width: 8 | 16 | 32 = 32,
): BitArray<A> {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`a bit array must have 1 bit or more, not ${count}`);
  return { kind: "bits", at, count, access, width };
}

/** Whether what an array repeats is one register, not a group of them. */
export const isRegister = (element: Register | Registers): element is Register =>
  typeof (element as Register).at === "number" && typeof (element as Register).width === "number";

/**
 * The registers of an array one by one, named as `table[3]` or `table[3].low`.
 * @param size of the map, in bytes: of what lies outside there is one, so that the map is refused, whatever the count
 */
export function arrayRegisters(name: string, what: RegisterArray | BitArray, size: number): Registers {
  const registers: Record<string, Register> = {};
  if (what.kind === "bits") {
    const { at, count, width, kind: _, ...rest } = what;
    for (let i = 0; i * width < count && (i - 1) * (width / 8) < size; i++)
      registers[`${name}[${i}]`] = {
        ...rest,
        width,
        at: at + (i * width) / 8,
        fields: {},
        reset: 0,
        hex: true,
      };
    return registers;
  }
  const { element, count, stride } = what;
  for (let i = 0; i < count && (i - 1) * stride < size; i++) {
    const put = (key: string, register: Register): void => {
      registers[`${name}[${i}]${key}`] = { ...register, at: register.at + i * stride };
    };
    if (isRegister(element)) put("", element);
    else for (const [key, register] of Object.entries(element)) put(`.${key}`, register);
  }
  return registers;
}

/** @throws RangeError for an index that is none of `count` */
export function checkIndex(name: string, count: number, index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new RangeError(
      `"${name}" has ${count} elements: the index must be from 0 to ${count - 1}, not ${index}`,
    );
}
