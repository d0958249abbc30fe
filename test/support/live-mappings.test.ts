import { expect, test } from "bun:test";
import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";
import { Mapping } from "../../src/ffi/mapping.ts";
import { pageSize } from "../../src/ffi/page-size.ts";
import { isMapped, LiveMappings } from "./live-mappings.ts";

const page = pageSize();

test("what is left mapped is seen, page by page, and the kernel has it there", () => {
  using earlier = new AnonymousMemory(page);
  using live = new LiveMappings();
  using left = new AnonymousMemory(3 * page - 1);
  // Aligned: addresses are reserved first, and given back.
  new Mapping({ size: 2 * page, alignment: 2 ** 21, name: "memory" })[Symbol.dispose]();
  const { address } = left;
  expect(live.pages).toEqual([address, address + page, address + 2 * page]);
  expect(live.pages.map(isMapped)).toEqual([true, true, true]);
  expect(live.mapped).toBe(3);
  left[Symbol.dispose]();
  expect(live.pages).toEqual([]);
  expect(isMapped(earlier.address)).toBe(true);
  expect(isMapped(0)).toBe(false);
});

test("a call that failed has mapped nothing, and nothing is followed after the end", () => {
  const live = new LiveMappings();
  expect(() => new AnonymousMemory(2 ** 47)).toThrow("ENOMEM");
  expect(live.mapped).toBe(0);
  live[Symbol.dispose]();
  using _after = new AnonymousMemory(page);
  expect(live.pages).toEqual([]);
});
