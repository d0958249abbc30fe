// What a config space holds where no map has a field: nothing of it is lost.
import type { RegisterBlock } from "./block.ts";

/** Bytes that no field describes, in hexadecimal; bits of them that a field does describe are 0. */
export interface UndescribedBytes {
  /** In config space. */
  readonly offset: number;
  /** In hexadecimal. */
  readonly bytes: string;
}

/** Marks in `bits` what the registers of a map describe, where it lies at `base`. */
export function markDescribed(bits: Uint8Array, map: RegisterBlock, base: number): void {
  const { defined, reserved } = map.masks;
  const end = Math.min(defined.length, bits.length - base);
  for (let i = 0; i < end; i++) bits[base + i]! |= defined[i]! & ~reserved[i]!;
}

/** Runs of bytes with a bit set that `described` has not: runs a few zeros apart are one. */
export function undescribedBytes(config: Uint8Array, described: Uint8Array): UndescribedBytes[] {
  const runs: UndescribedBytes[] = [];
  const rest = new Uint8Array(config.length);
  for (let at = 0; at < config.length; at++) rest[at] = config[at]! & ~described[at]!;
  for (let at = 0; at < rest.length; at++) {
    if (rest[at] === 0) continue;
    let end = at + 1;
    for (let next = end; next < config.length && next < end + 4; next++) if (rest[next] !== 0) end = next + 1;
    runs.push({ offset: at, bytes: rest.subarray(at, end).toHex() });
    at = end;
  }
  return runs;
}
