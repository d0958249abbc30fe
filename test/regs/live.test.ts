import { describe, expect, test } from "bun:test";
import {
  powerManagementCapability,
  r32,
  r64,
  registerMap,
  rw,
  rw1c,
  type RegisterIo,
} from "../../src/regs/index.ts";

/** Registers in memory that record each access. */
function recorder(bytes: Uint8Array): { readonly io: RegisterIo; readonly log: string[] } {
  const log: string[] = [];
  const at = (offset: number, width: number): number[] => Array.from({ length: width }, (_, i) => offset + i);
  return {
    log,
    io: {
      read(offset, width) {
        const value = at(offset, width).reduceRight((sum, i) => sum * 256 + bytes[i]!, 0);
        log.push(`read ${offset}/${width}`);
        return value;
      },
      write(offset, width, value) {
        log.push(`write ${offset}/${width} 0x${value.toString(16)}`);
        for (const i of at(offset, width)) bytes[i] = Math.floor(value / 256 ** (i - offset));
      },
    },
  };
}

describe("live registers", () => {
  test("a read is one access of the register's width, and its snapshot is frozen", () => {
    const { io, log } = recorder(Uint8Array.from([0, 0, 0, 0, 0x0b, 0x81, 0, 7]));
    const live = powerManagementCapability.live(io);
    const snapshot = live.control.read();
    expect(snapshot).toMatchObject({ raw: 0x810b, powerState: "D3", noSoftReset: true, pmeStatus: true });
    expect(Object.isFrozen(snapshot)).toBe(true);
    expect(live.data.read()).toBe(7);
    expect(log).toEqual(["read 4/2", "read 7/1"]);
  });

  test("modify is one read and one write: RW1C bits that are not named are written 0", () => {
    const { io, log } = recorder(Uint8Array.from([0, 0, 0, 0, 0x03, 0x81, 0, 0]));
    const { control } = powerManagementCapability.live(io);
    control.modify({ powerState: "D0" });
    expect(log).toEqual(["read 4/2", "write 4/2 0x100"]);
    control.modify({ pmeStatus: true, dataSelect: 5 });
    expect(log.slice(2)).toEqual(["read 4/2", "write 4/2 0x8b00"]);
  });

  test("the base is added to each offset", () => {
    const { io, log } = recorder(new Uint8Array(0x50));
    powerManagementCapability.live(io, 0x40).control.write(0x103);
    expect(log).toEqual(["write 68/2 0x103"]);
  });

  test("bad changes are refused before the device is touched", () => {
    const { io, log } = recorder(new Uint8Array(8));
    const { control, data } = powerManagementCapability.live(io);
    // @ts-expect-error no such field
    expect(() => control.modify({ state: "D0" })).toThrow('"PM.control" has no field "state"');
    // @ts-expect-error read-only
    expect(() => control.modify({ noSoftReset: true })).toThrow(
      '"PM.control.noSoftReset" must be left as it is, not written: it is read-only (ro)',
    );
    // @ts-expect-error not a name of the field
    expect(() => control.modify({ powerState: "D4" })).toThrow(RangeError);
    // @ts-expect-error a named field takes names
    expect(() => control.modify({ powerState: 3 })).toThrow(TypeError);
    // @ts-expect-error one bit is a boolean
    expect(() => control.modify({ pmeEnable: 1 })).toThrow(TypeError);
    expect(() => control.modify({ pmeEnable: true, dataSelect: 16 })).toThrow(RangeError);
    expect(() => control.write(0x10000)).toThrow(RangeError);
    expect(() => control.write(-1)).toThrow('"PM.control" must be an integer of 16 bits, not -1');
    // @ts-expect-error a register is a number
    expect(() => control.write("1")).toThrow(TypeError);
    // @ts-expect-error a read-only register has no write
    expect(data.write).toBeUndefined();
    expect(log).toEqual([]);
  });

  test("inherited names are no fields", () => {
    const { io } = recorder(new Uint8Array(8));
    const modify = powerManagementCapability.live(io).control.modify as (changes: object) => void;
    expect(() => modify({ toString: true })).toThrow('no field "toString"');
    expect(() => modify(JSON.parse('{"__proto__": true}') as object)).toThrow('no field "__proto__"');
  });

  test("64 bits go as two halves, low first, and have to fit", () => {
    const { io, log } = recorder(new Uint8Array(16));
    const live = registerMap("map", 16, { it: r64(0, "rw"), fixed: r64(8, "ro") }).live(io);
    live.it.write(0x1_0000_0002n);
    expect(live.it.read()).toBe(0x1_0000_0002n);
    expect(log).toEqual(["write 0/4 0x2", "write 4/4 0x1", "read 0/4", "read 4/4"]);
    for (const wrong of [-1n, 1n << 64n]) expect(() => live.it.write(wrong)).toThrow(RangeError);
    // @ts-expect-error 64 bits are a bigint
    expect(() => live.it.write(1)).toThrow('"map.it" must be a bigint, not 1');
    expect("write" in live.fixed).toBe(false);
  });

  test("the top bit of 32 stays positive", () => {
    const { io, log } = recorder(Uint8Array.from([1, 0, 0, 0x80]));
    const { it } = registerMap("map", 4, { it: r32(0, { top: rw(31), flag: rw1c(0), low: rw(7, 4) }) }).live(
      io,
    );
    it.modify({ low: 3 });
    expect(log).toEqual(["read 0/4", "write 0/4 0x80000030"]);
  });
});
