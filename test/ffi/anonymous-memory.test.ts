import { describe, expect, test } from "bun:test";
import { read, type Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";

const bytes = (memory: AnonymousMemory, offset: number, size: number): string => {
  const data = new Uint8Array(new ArrayBuffer(size));
  memory.read(offset, data);
  return data.toHex();
};
/** Whether the kernel has a mapping of this process at an address. */
const isMapped = (address: number): boolean =>
  readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .some((line) => {
      const [start, end] = line.split(/[- ]/).map((text) => parseInt(text, 16));
      return start! <= address && address < end!;
    });

describe("anonymous memory", () => {
  test("is zeros, holds what is written, and is the memory at its address", () => {
    using memory = new AnonymousMemory(0x2000);
    expect(memory.address % 4096).toBe(0);
    expect(bytes(memory, 0xffe, 4)).toBe("00000000");
    memory.write(0xffe, Uint8Array.of(1, 2, 3, 4));
    expect(bytes(memory, 0xffd, 6)).toBe("000102030400");
    expect(read.u32(memory.address as Pointer, 0xffe)).toBe(0x04030201);
  });

  test("is zeros again once cleared, at the same address", () => {
    using memory = new AnonymousMemory(0x3000);
    memory.write(0, new Uint8Array(0x3000).fill(0xff));
    memory.clear();
    expect(bytes(memory, 0, 8) + bytes(memory, 0x2ff8, 8)).toBe("00".repeat(16));
    memory.write(8, Uint8Array.of(9));
    expect(read.u8(memory.address as Pointer, 8)).toBe(9);
  });

  test("of many gigabytes costs what is touched, and is seen beyond what one buffer can hold", () => {
    using memory = new AnonymousMemory(2 ** 36);
    const edge = 2 ** 32 + 2 ** 30;
    memory.write(edge - 2, Uint8Array.of(1, 2, 3, 4));
    expect(bytes(memory, edge - 3, 6)).toBe("000102030400");
    memory.write(2 ** 36 - 1, Uint8Array.of(7));
    expect(bytes(memory, 2 ** 36 - 2, 2)).toBe("0007");
  });

  test("goes on across each of the windows that it is looked at through", () => {
    using memory = new AnonymousMemory(3 * 2 ** 30 + 4096);
    const pattern = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
    for (const edge of [2 ** 30, 2 ** 31, 3 * 2 ** 30]) {
      memory.write(edge - 20, pattern);
      expect(bytes(memory, edge - 21, 66)).toBe(`00${pattern.toHex()}00`);
      expect(read.u8(memory.address as Pointer, edge)).toBe(21);
    }
  });

  test("refuses what lies outside, and more than there is room for", () => {
    using memory = new AnonymousMemory(0x1000);
    for (const [offset, size] of [
      [0xfff, 2],
      [-1, 1],
      [0x1000, 1],
      [NaN, 1],
      [0.5, 1],
      [Infinity, 1],
    ] as const)
      expect(() => bytes(memory, offset, size)).toThrow(RangeError);
    expect(() => new AnonymousMemory(2 ** 52)).toThrow("mmap fails with ENOMEM");
  });

  test("is unmapped once, and refuses use afterwards", () => {
    const memory = new AnonymousMemory(0x1000);
    memory.write(0, Uint8Array.of(1));
    const { address } = memory;
    expect(isMapped(address)).toBe(true);
    memory[Symbol.dispose]();
    expect(isMapped(address)).toBe(false);
    memory[Symbol.dispose]();
    for (const use of [
      () => bytes(memory, 0, 1),
      () => memory.write(0, Uint8Array.of(1)),
      () => memory.clear(),
    ])
      expect(use).toThrow("unmapped");
  });
});
