// The forms in which lspci writes values.
import type { DecodedValue } from "../../src/regs/decode.ts";
import type { Read } from "./compare.ts";

export const hexOf = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
export const sign = (value: DecodedValue): string => (value === true ? "+" : value === false ? "-" : "?");
/** A value past the end of one of lspci's tables of names. */
export const tableName = (value: DecodedValue): string =>
  String(value).replace(/^reserved\((\d+)\)$/, "??$1");
/** A register of 64 bits, which decodes to `0x` and digits. */
export const u64 = (read: Read, register: string): bigint => BigInt(String(read(register)));

/** `count` rules or values, made of their index. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
