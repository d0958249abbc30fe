import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { MappedRegisters, type Mapping, MemoryFile, pageSize } from "../../src/ffi/index.ts";
import { r32, registerMap, rw } from "../../src/regs/index.ts";
import { Sandbox } from "../support/sandbox.ts";
import { compile, compilerTest } from "./support/compiler.ts";

const support = join(import.meta.dir, "support");

describe("what compiled code does to a device's registers", () => {
  let results: Record<string, string[]> | undefined;
  /** What arrived at the page, by program of trapped-accesses.ts. */
  const arrived = (program: string): string[] | undefined => {
    if (!results) {
      using sandbox = new Sandbox();
      const library = compile(sandbox, join(support, "trap.c"), "-shared", "-fPIC");
      const run = Bun.spawnSync([process.execPath, join(support, "trapped-accesses.ts"), library], {
        stdout: "pipe",
        stderr: "pipe",
      });
      if (run.exitCode !== 0) throw new Error(`exit status ${run.exitCode}: ${run.stderr.toString()}`);
      results = JSON.parse(run.stdout.toString()) as Record<string, string[]>;
    }
    return results[program];
  };
  const trapTest = (name: string, program: string, accesses: string[]): void =>
    compilerTest(name, () => expect(arrived(program)).toEqual(accesses), "x64");

  trapTest(
    "a register polled in optimised code is read each time",
    "poll",
    Array(100).fill("read 4 at 4") as string[],
  );
  trapTest(
    "three identical doorbell writes all arrive",
    "doorbell",
    Array(30).fill("write 4 at 8 of 1") as string[],
  );
  trapTest("a read is one access of its width", "widths", [
    "read 1 at 1",
    "read 2 at 2",
    "read 4 at 4",
    "read 8 at 8",
  ]);
  trapTest("a write is one access of its width", "stores", [
    "write 1 at 1 of 1",
    "write 2 at 2 of 2",
    "write 4 at 4 of 3",
    "write 8 at 8 of 4",
  ]);
  trapTest("64 bits are two halves, the lower first unless told", "halves", [
    "read 4 at 16",
    "read 4 at 20",
    "read 4 at 20",
    "read 4 at 16",
    "write 4 at 16 of 1",
    "write 4 at 20 of 2",
    "write 4 at 20 of 2",
    "write 4 at 16 of 1",
  ]);
  trapTest("a read after a write asks the device", "store and load", [
    "write 4 at 12 of 7",
    "read 4 at 12",
    "read 4 at 12",
  ]);
});

describe("mapped registers", () => {
  const size = 4096;
  const made = (): { file: MemoryFile; memory: Mapping; registers: MappedRegisters } & Disposable => {
    const file = new MemoryFile({ size: pageSize(), name: "BAR0" });
    const memory = file.map();
    return {
      file,
      memory,
      registers: new MappedRegisters(memory, { offset: 0, size }),
      [Symbol.dispose]: () => (memory[Symbol.dispose](), file[Symbol.dispose]()),
    };
  };
  const bytesOf = (file: MemoryFile, offset: number, count: number): string => {
    const data = new Uint8Array(count);
    file.readAt(offset, data);
    return data.toHex();
  };

  test("are little-endian, in every width and order", () => {
    using all = made();
    const { file, registers } = all;
    registers.write8(0, 0xff);
    registers.write16(2, 0x1234);
    registers.write32(4, 0xdeadbeef);
    expect(bytesOf(file, 0, 8)).toBe("ff003412efbeadde");
    const wide = 0xfedcba98_76543210n;
    for (const access of ["low-first", "high-first", "whole"] as const) {
      registers.write64(8, wide, access);
      expect(bytesOf(file, 8, 8)).toBe("1032547698badcfe");
      expect(registers.read64(8, access)).toBe(wide);
      registers.write64(8, 0n, access);
      expect(bytesOf(file, 8, 8)).toBe("0000000000000000");
    }
    expect([registers.read8(0), registers.read16(2), registers.read32(4)]).toEqual([255, 0x1234, 0xdeadbeef]);
  });

  test("of an area begin where it begins", () => {
    using all = made();
    const area = new MappedRegisters(all.memory, { offset: 0x104, size: 0x10 });
    area.write32(4, 0x01020304);
    area.write64(4, 0x11_22222222n);
    area.write64(12 - 8, 0x33_44444444n, "whole");
    expect(bytesOf(all.file, 0x108, 8)).toBe("4444444433000000");
    expect([area.read64(4), area.read64(4, "high-first"), area.size]).toEqual([
      0x33_44444444n,
      0x33_44444444n,
      16,
    ]);
    expect(() => area.read32(16)).toThrow(RangeError);
    expect(() => new MappedRegisters(all.memory, { offset: 0, size: pageSize() + 1 })).toThrow(RangeError);
    expect(() => new MappedRegisters(all.memory, { offset: -8, size: 8 })).toThrow(RangeError);
  });

  test("refuse offsets that are outside or not aligned, and values that do not fit", () => {
    using all = made();
    const { registers } = all;
    for (const offset of [-4, 1, 2, size, size - 2, 0.5, NaN, Infinity, 2 ** 53]) {
      expect(() => registers.read32(offset)).toThrow(RangeError);
      expect(() => registers.write32(offset, 0)).toThrow(RangeError);
      expect(() => registers.read64(offset)).toThrow(RangeError);
      expect(() => registers.write64(offset, 0n, "whole")).toThrow(RangeError);
    }
    expect(() => registers.read64(4)).toThrow(RangeError);
    expect(() => registers.read16(1)).toThrow(RangeError);
    expect(() => registers.read8(size)).toThrow(RangeError);
    for (const value of [-1, 2 ** 32, 0.5, NaN]) {
      expect(() => registers.write8(0, value)).toThrow(RangeError);
      expect(() => registers.write16(0, value)).toThrow(RangeError);
      expect(() => registers.write32(0, value)).toThrow(RangeError);
    }
    expect(() => registers.write8(0, 256)).toThrow(RangeError);
    expect(() => registers.write16(0, 65536)).toThrow(RangeError);
    for (const value of [-1n, 1n << 64n]) expect(() => registers.write64(0, value)).toThrow(RangeError);
    expect(() => registers.write64(0, 1 as unknown as bigint)).toThrow(TypeError);
    expect(() => registers.write32(0, "1" as unknown as number)).toThrow(TypeError);
    const part = new MappedRegisters(all.memory, { offset: 16, size: 16 });
    let asked = 0;
    const changing = { valueOf: () => (asked++ < 3 ? 0 : 2 ** 40) };
    for (const offset of ["0", "8", ["8"], changing, true, null, undefined, 4n] as never[]) {
      for (const area of [registers, part]) {
        expect(() => area.read32(offset)).toThrow(
          new TypeError(`an offset must be a number, not ${typeof offset}`),
        );
        expect(() => area.read64(offset, "whole")).toThrow(TypeError);
        expect(() => area.write32(offset, 0xffff_ffff)).toThrow(TypeError);
        expect(() => area.write64(offset, 1n)).toThrow(TypeError);
      }
    }
    expect(bytesOf(all.file, 0, 64)).toBe("00".repeat(64));
  });

  test("go on beyond 4 GiB", () => {
    using file = new MemoryFile({ size: 2 ** 33, name: "BAR0" });
    using memory = file.map();
    const registers = new MappedRegisters(memory);
    for (const offset of [0, 2 ** 30 - 4, 2 ** 30, 2 ** 32 - 4, 2 ** 32, 2 ** 33 - 4]) {
      registers.write32(offset, 0xc0ffee00);
      expect(registers.read32(offset)).toBe(0xc0ffee00);
      expect(bytesOf(file, offset, 4)).toBe("00eeffc0");
    }
  });

  test("refuse use after the mapping's end", () => {
    const all = made();
    all.registers.write32(0, 1);
    all[Symbol.dispose]();
    for (const use of [
      () => all.registers.read8(0),
      () => all.registers.read32(0),
      () => all.registers.read64(0, "whole"),
      () => all.registers.write8(0, 1),
      () => all.registers.write32(0, 1),
      () => all.registers.write64(0, 1n, "whole"),
    ])
      expect(use).toThrow("BAR0 is unmapped");
  });

  test("are what a register map reads and writes", () => {
    using all = made();
    const { control } = registerMap("test", 0x20, {
      control: r32(0x10, { enable: rw(0), mode: rw(7, 4) }),
    }).live(all.registers);
    control.write(0x81);
    control.modify({ enable: false });
    expect(control.read()).toEqual({ raw: 0x80, enable: false, mode: 8 });
    expect(() => all.registers.read(0, 8)).toThrow(RangeError);
    expect(() => all.registers.write(0, 3, 0)).toThrow(RangeError);
    all.registers.write(0, 1, 1);
    all.registers.write(2, 2, 2);
    expect([all.registers.read(0, 1), all.registers.read(2, 2)]).toEqual([1, 2]);
  });
});
