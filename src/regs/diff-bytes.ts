// The bytes that differ and that no field tells of.
import { decodeRegisters, headerMapOf } from "./decode.ts";
import type { ConfigDifference } from "./diff-types.ts";
import type { ConfigLayout } from "./layout.ts";
import type { RegisterBlock } from "./map.ts";

/** Whether `size` bytes of both are the same. */
export function sameBytes(
  from: Uint8Array,
  at: number,
  to: Uint8Array,
  other: number,
  size: number,
): boolean {
  for (let i = 0; i < size; i++) if (from[at + i] !== to[other + i]) return false;
  return true;
}

/** For each byte the bits whose changes are told of by name: all that are decoded, which reserved registers are not. */
export function described(
  config: Uint8Array,
  layout: ConfigLayout,
  from: Uint8Array,
  to: Uint8Array,
): Uint8Array {
  const sides = [config, from, to] as const;
  const bits = markDescribed(new Uint8Array(config.length), headerMapOf(layout), sides, 0);
  for (const { map, offset } of layout.capabilities) markDescribed(bits, map, sides, offset);
  return bits;
}

/** Marks in `bits` what a map at `base` describes, where `from` and `to` differ there at all; `bytes` is one of them. */
export function markDescribed(
  bits: Uint8Array,
  map: RegisterBlock,
  [bytes, from, to]: readonly [bytes: Uint8Array, from: Uint8Array, to: Uint8Array],
  base: number,
): Uint8Array {
  if (sameBytes(from, base, to, base, map.size)) return bits;
  for (const name of Object.keys(decodeRegisters(map, bytes, base))) {
    const { at, width } = map.registers[name]!;
    for (let i = at; i < at + width / 8; i++) bits[base + i]! |= map.masks.defined[i]!;
  }
  return bits;
}

/**
 * Bits that only one side describes belong to a capability that came, went, moved or has another shape; these are
 * told of already. What is left is what neither describes. So with headers of different types, what one has in
 * reserved bytes that the other describes is not listed; the registers that only the other has are.
 */
export function byteDifferences(
  a: Uint8Array,
  b: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  into: ConfigDifference[],
): void {
  const differs = (at: number): boolean => ((from[at]! ^ to[at]!) & ~(a[at]! | b[at]!)) !== 0;
  for (let at = 0; at < from.length; at++) {
    if (!differs(at)) continue;
    let end = at + 1;
    while (end < from.length && differs(end)) end++;
    into.push({
      kind: "bytes",
      offset: at,
      from: from.subarray(at, end).toHex(),
      to: to.subarray(at, end).toHex(),
    });
    at = end;
  }
}
