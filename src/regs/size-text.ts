import { hex, hexDigits } from "./hex-text.ts";
/** A number of bytes as people write it: `16K`, `2G`; what is no whole number of a unit stays in the smaller one. */
export function sizeText(bytes: number | bigint): string {
  let size = BigInt(bytes);
  let unit = 0;
  for (; unit < 6 && size !== 0n && size % 1024n === 0n; unit++) size /= 1024n;
  return `${size}${["", "K", "M", "G", "T", "P", "E"][unit]}`;
}

/** An address with 8 hexadecimal digits or more. */
export const addressText = (address: number | bigint): string => hexDigits(address, 8);

/** An address as data: exact beyond 2^53. */
export const addressData = (address: number | bigint): string => hex(address);
