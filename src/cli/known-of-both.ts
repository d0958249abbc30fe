// Two devices of which not all is known, as they can be compared: where one of them has no bytes, nothing differs.
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
  const differs = new Uint8Array(common);
  for (const [into, { unknown }, source] of [
    [from, first, second.known],
    [to, second, first.known],
  ] as const)
    for (const { offset, size } of unknown?.config ?? []) {
      const end = Math.min(offset + size, common);
      if (offset >= end) continue;
      into.set(source.subarray(offset, end), offset);
      // What neither knows was said to be missing of each.
      for (let at = offset; at < end; at++) differs[at]! ^= 1;
    }
  return { from, to, notCompared: areasOf(differs) };
}

function areasOf(marks: Uint8Array): ImageArea[] {
  const areas: ImageArea[] = [];
  for (let at = marks.indexOf(1); at >= 0; at = marks.indexOf(1, at)) {
    const next = marks.indexOf(0, at);
    const end = next < 0 ? marks.length : next;
    areas.push({ offset: at, size: end - at });
    at = end;
  }
  return areas;
}
