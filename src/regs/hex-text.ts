/** A number as people read addresses: `0x`, and lower-case digits, at least `digits` of them. Not negative. */
export const hex = (value: number | bigint, digits = 0): string =>
  `0x${value.toString(16).padStart(digits, "0")}`;
