// Two devices of which not all is known, as they can be compared: where one of them has no bytes, nothing differs.
import { areasOfZeros } from "../image/areas.ts";
import type { ImageArea } from "../image/image.ts";
import type { InputDevice } from "./input.ts";

export interface KnownOfBoth {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Bytes that one of them alone knows, as far as both go: in order, apart from each other. */
  readonly notCompared: readonly ImageArea[];
}

/** The known bytes of both, with the gaps of each filled by the other. */
export function knownOfBoth(first: InputDevice, second: InputDevice): KnownOfBoth {
  const from = first.known.slice();
  const to = second.known.slice();
  const common = Math.min(from.length, to.length);
  const compared = new Uint8Array(common).fill(1);
  for (const [into, { unknown }, source] of [
    [from, first, second.known],
    [to, second, first.known],
  ] as const)
    for (const { offset, size } of unknown?.config ?? []) {
      const end = Math.min(offset + size, common);
      if (offset >= end) continue;
      into.set(source.subarray(offset, end), offset);
      // What neither knows was said to be missing of each.
      for (let at = offset; at < end; at++) compared[at]! ^= 1;
    }
  return { from, to, notCompared: areasOfZeros(compared, common) };
}
