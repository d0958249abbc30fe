import { expect, test } from "bun:test";
import { LocalMemory } from "../../../src/device/backends/modelled/local-environment.ts";
import { copyPieces, mappedPieces } from "../../../src/device/dma/dma-pieces.ts";
import type { DeviceMemory } from "../../../src/device/seam/device-memory.ts";

const page = 4096;

test("copies in the order of the parts, both ways; fails at memory that is none", () => {
  const memory = new LocalMemory(4 * page, 0x10000);
  const pieces = [
    { iova: 0x12000, size: 3 },
    { iova: 0x10001, size: 2 },
  ];
  copyPieces(memory, "write", pieces, Uint8Array.of(1, 2, 3, 4, 5));
  expect([...memory.bytes.subarray(0x2000, 0x2003), ...memory.bytes.subarray(0, 4)]).toEqual([
    ...[1, 2, 3, 0, 4, 5, 0],
  ]);
  const back = new Uint8Array(5);
  copyPieces(memory, "read", pieces, back);
  expect([...back]).toEqual([1, 2, 3, 4, 5]);
  expect(() => copyPieces(memory, "read", [...pieces, { iova: 0, size: 1 }], new Uint8Array(6))).toThrow(
    "no memory",
  );
});

/** Mapped at 0x7000_0000 from IOVA 0 on, in windows of which none goes on in the next. */
const windowed = (window: number, hole?: number): DeviceMemory =>
  ({
    address: (iova: number, size: number) =>
      Math.floor(iova / window) === Math.floor((iova + size - 1) / window) &&
      Math.floor(iova / window) !== hole
        ? 0x7000_0000 + iova
        : undefined,
  }) as unknown as DeviceMemory;

test("a part is one address where it is mapped as one, else one for each page; undefined where none is", () => {
  const pieces = [
    { iova: page + 512, size: 2 * page },
    { iova: 0, size: 16 },
  ];
  const at = (iova: number, size: number) => ({ address: 0x7000_0000 + iova, size });
  expect(mappedPieces(windowed(16 * page), "read", pieces)).toEqual([at(page + 512, 2 * page), at(0, 16)]);
  expect(mappedPieces(windowed(page), "write", pieces)).toEqual([
    ...[at(page + 512, page - 512), at(2 * page, page), at(3 * page, 512), at(0, 16)],
  ]);
  expect(mappedPieces(windowed(page, 2), "read", pieces)).toBeUndefined();
  expect(mappedPieces(new LocalMemory(page), "read", [{ iova: 0, size: 16 }])).toBeUndefined();
});
