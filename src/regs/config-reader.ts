import {
  extendedStart,
  layoutOf,
  standardStart,
  walkCapabilities,
  walkExtendedCapabilities,
  type ConfigLayout,
  type Walk,
} from "./index.ts";

/**
 * Reads all of config space in a few reads, leaving out registers whose read has a side effect: they are 0.
 * @param size 64, 256 or 4096 bytes
 * @param read fills `into` from byte `offset`; what it throws comes out
 * @param find the layout of a space of which the heads of its capabilities alone are there
 */
export function readConfigBytes(
  size: number,
  read: (offset: number, into: Uint8Array) => void,
  find: (heads: Uint8Array) => ConfigLayout = layoutOf,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  const fill = (from: number, to: number): void => {
    if (to > from) read(from, bytes.subarray(from, to));
  };
  fill(0, standardStart);
  // A device that does not answer has no lists, and is not asked any more. Its IDs do not tell: a virtual
  // function's read all ones while it is well (PCI Express Base Specification 9.3.4.1.1).
  if (size === standardStart || bytes.subarray(0, standardStart).every((byte) => byte === 0xff)) return bytes;
  // First the heads of the lists alone: they tell which registers must not be read.
  const header = bytes[0x0e]! & 0x7f;
  readHeads(fill, bytes[header === 2 ? 0x14 : 0x34]! & 0xfc, standardStart, () => walkCapabilities(bytes));
  if (size > extendedStart)
    readHeads(fill, extendedStart, extendedStart, () => walkExtendedCapabilities(bytes));
  let from = standardStart;
  for (const at of preciousBytes(find(bytes))) {
    fill(from, at);
    from = at + 1;
  }
  fill(from, size);
  return bytes;
}

/** Bytes whose read has a side effect, ascending. */
function preciousBytes({ capabilities }: ConfigLayout): number[] {
  const found: number[] = [];
  for (const { offset, map } of capabilities)
    map.masks.precious.forEach((bits, i) => {
      if (bits !== 0) found.push(offset + i);
    });
  return found.sort((a, b) => a - b);
}

/**
 * Reads the first dword of each capability of a list. The walker, run again after each, finds the next one:
 * it is bounded and no offset is read twice.
 */
function readHeads(
  read: (from: number, to: number) => void,
  start: number,
  lowest: number,
  walk: () => Walk,
): void {
  const done = new Set<number>();
  for (let at: number | undefined = start; at !== undefined && at >= lowest;) {
    read(at, at + 4);
    done.add(at);
    at = walk()
      .found.map(({ next }) => next & 0xffc)
      .find((next) => next >= lowest && !done.has(next));
  }
}
