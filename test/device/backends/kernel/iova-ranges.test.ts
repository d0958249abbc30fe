import { expect, test } from "bun:test";
import { toRanges } from "../../../../src/device/backends/kernel/iova-ranges.ts";

test("ranges: below 2^53, ascending", () => {
  expect(
    toRanges([
      { first: 0xfef00000n, last: 2n ** 64n - 1n },
      { first: 0n, last: 0xfedfffffn },
      { first: 2n ** 60n, last: 2n ** 61n },
    ]),
  ).toEqual([
    { base: 0, size: 0xfee00000 },
    { base: 0xfef00000, size: Number.MAX_SAFE_INTEGER - 0xfef00000 },
  ]);
});
