/** A number's lower-case hexadecimal digits, at least `digits` of them. Not negative. */
export const hexDigits = (value: number | bigint, digits = 0): string =>
  value.toString(16).padStart(digits, "0");

/** A number as people read addresses: `0x` and its digits, at least `digits` of them. Not negative. */
export const hex = (value: number | bigint, digits = 0): string => `0x${hexDigits(value, digits)}`;

/** A value as data: numbers beyond what JSON can hold are written in hexadecimal. */
export const asData = <Value>(value: Value): Exclude<Value, bigint> | string =>
  typeof value === "bigint" ? hex(value, 16) : (value as Exclude<Value, bigint>);
