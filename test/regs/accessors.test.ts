import { describe, expect, expectTypeOf, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import {
  msixCapability,
  powerManagementCapability,
  r16,
  r32,
  r64,
  r8,
  registerMap,
  ro,
  rw,
  rw1c,
  rws,
  type Fields,
  type Register,
} from "../../src/regs/index.ts";

const viewOf = (bytes: readonly number[]): DataView => new DataView(Uint8Array.from(bytes).buffer);

describe("accessors over memory", () => {
  test("an MSI-X capability, read and written", () => {
    const bytes = Uint8Array.from([0x11, 0x70, 0x1f, 0x80, 0x03, 0x20, 0, 0, 0x03, 0x30, 0, 0]);
    const msix = msixCapability.view(new DataView(bytes.buffer));
    expect([msix.id, msix.next, msix.controlTableSize, msix.controlEnable]).toEqual([0x11, 0x70, 31, true]);
    expect([msix.tableBir, msix.tableOffset, msix.pbaOffset]).toEqual([3, 0x2000, 0x3000]);
    msix.controlFunctionMask = true;
    expect([...bytes.subarray(2, 4)]).toEqual([0x1f, 0xc0]);
    msix.control = 0x1234;
    expect([...bytes.subarray(2, 4)]).toEqual([0x34, 0x12]);
  });

  test("the base offset moves every register", () => {
    const memory = viewOf([0, 0, 0, 0, 0x11, 0x40, 0x02, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(msixCapability.view(memory, 4).controlTableSize).toBe(2);
    expect(msixCapability.offsetOf("pba")).toBe(8);
  });

  test("what is refused at compile time throws at run time, and changes nothing", () => {
    const bytes = new Uint8Array(12);
    const msix = msixCapability.view(new DataView(bytes.buffer));
    const pm = powerManagementCapability.view(new DataView(bytes.buffer));
    // @ts-expect-error no such register
    expect(msix.contrl).toBeUndefined();
    // @ts-expect-error no such field
    expect(msix.controlEnabled).toBeUndefined();
    // @ts-expect-error a field that is read-only
    expect(() => (msix.controlTableSize = 3)).toThrow(TypeError);
    // @ts-expect-error a register that is read-only
    expect(() => (msix.id = 5)).toThrow(TypeError);
    // @ts-expect-error a register with read-only fields alone
    expect(() => (msix.table = 5)).toThrow(TypeError);
    // @ts-expect-error one bit is a boolean
    expect(() => (msix.controlEnable = 1)).toThrow('"MSI-X.control.enable" must be a boolean, not 1');
    // @ts-expect-error not a name of the field
    expect(() => (pm.controlPowerState = "D4")).toThrow(RangeError);
    // @ts-expect-error a named field takes names
    expect(() => (pm.controlPowerState = 3)).toThrow(TypeError);
    // @ts-expect-error several bits are a number
    expect(() => (pm.controlDataSelect = true)).toThrow(TypeError);
    for (const wrong of [16, -1, 1.5, NaN, Infinity])
      expect(() => (pm.controlDataSelect = wrong)).toThrow(RangeError);
    expect(bytes).toEqual(new Uint8Array(12));
  });

  test("a field's type follows its bits", () => {
    const pm = powerManagementCapability.view(viewOf([0, 0, 0, 0, 0, 0, 0, 0]));
    expectTypeOf(pm.controlPmeEnable).toEqualTypeOf<boolean>();
    expectTypeOf(pm.controlDataSelect).toEqualTypeOf<number>();
    expectTypeOf(pm.controlPowerState).toEqualTypeOf<"D0" | "D1" | "D2" | "D3" | `reserved(${number})`>();
    expectTypeOf(pm.data).toEqualTypeOf<number>();
    expect([pm.controlPmeEnable, pm.controlDataSelect, pm.controlPowerState, pm.data]).toEqual([
      false,
      0,
      "D0",
      0,
    ]);
  });

  test("a write beside RW1C bits writes 0 to them, and a write of one clears it alone", () => {
    const bytes = Uint8Array.from([0, 0, 0, 0, 0x03, 0x81, 0, 0]);
    const pm = powerManagementCapability.view(new DataView(bytes.buffer));
    pm.controlPowerState = "D0";
    expect([...bytes.subarray(4, 6)]).toEqual([0x00, 0x01]);
    pm.controlPmeStatus = true;
    expect([...bytes.subarray(4, 6)]).toEqual([0x00, 0x81]);
  });

  test("a value without a name stays visible, and can be written back", () => {
    const map = registerMap("map", 1, { mode: r8(0, { speed: rw(3, 0, { slow: 1, fast: 2 }) }) });
    const bytes = Uint8Array.of(0xf7);
    const view = map.view(new DataView(bytes.buffer));
    expect(view.modeSpeed).toBe("reserved(7)");
    view.modeSpeed = "fast";
    expect(bytes[0]).toBe(0xf2);
    view.modeSpeed = "reserved(9)";
    expect(bytes[0]).toBe(0xf9);
    expect(() => (view.modeSpeed = "reserved(16)")).toThrow(RangeError);
  });

  test("a 64-bit register is exact", () => {
    const map = registerMap("map", 8, { address: r64(0, "rw") });
    const view = map.view(new DataView(new ArrayBuffer(8)));
    view.address = 0xfedc_ba98_7654_3210n;
    expect(view.address).toBe(0xfedc_ba98_7654_3210n);
  });

  test("a whole register takes what its bits can hold, and nothing else", () => {
    const map = registerMap("map", 16, {
      byte: r8(0, "rw"),
      word: r16(2, { low: rw(7, 0), high: rw(15, 8) }),
      long: r32(4, "rw"),
      wide: r64(8, "rw"),
    });
    const bytes = new Uint8Array(16);
    const view = map.view(new DataView(bytes.buffer)) as Record<keyof typeof map.registers, unknown>;
    for (const [name, width] of [
      ["byte", 8],
      ["word", 16],
      ["long", 32],
    ] as const) {
      const largest = 2 ** width - 1;
      for (const wrong of [largest + 1, -1, -largest - 1, 0.5, NaN, Infinity, 2 ** 53]) {
        const message = `"map.${name}" must be an integer of ${width} bits, not ${wrong}`;
        expect(() => (view[name] = wrong)).toThrow(new RangeError(message));
      }
      for (const wrong of [1n, "1", true, null, undefined, {}])
        expect(() => (view[name] = wrong)).toThrow(TypeError);
    }
    for (const wrong of [1n << 64n, -1n])
      expect(() => (view.wide = wrong)).toThrow(
        new RangeError(`"map.wide" must be an integer of 64 bits, not ${wrong}`),
      );
    for (const wrong of [1, "1", true, null, undefined, {}])
      expect(() => (view.wide = wrong)).toThrow(TypeError);
    expect(bytes).toEqual(new Uint8Array(16));

    view.byte = 0xff;
    view.word = 0xffff;
    view.long = 0xffff_ffff;
    view.wide = 0xffff_ffff_ffff_ffffn;
    expect(bytes).toEqual(Uint8Array.fromHex(`ff00${"ff".repeat(14)}`));
    Object.assign(view, { byte: 0, word: 0, long: 0, wide: 0n });
    expect(bytes).toEqual(new Uint8Array(16));
  });

  test("an instance takes the memory of its two fields, however many accessors its map has", () => {
    // In a process of its own: once the engine has compiled the constructor for many maps, it gives each instance more room.
    const script = `
      import { estimateShallowMemoryUsageOf as sizeOf } from "bun:jsc";
      import { endpointHeader, expressCapability, msixCapability } from "./src/regs/index.ts";
      class ByHand {
        constructor(memory, base) {
          this.memory = memory;
          this.base = base;
        }
      }
      const memory = new DataView(new ArrayBuffer(256));
      const views = [msixCapability, expressCapability, endpointHeader].map((map) => new map.View(memory, 0));
      console.log(sizeOf(new ByHand(memory, 0)), ...views.map(sizeOf));`;
    const { stdout } = Bun.spawnSync([process.execPath, "-e", script], {
      cwd: join(import.meta.dir, "../.."),
    });
    const [size, ...sizes] = stdout.toString().trim().split(" ");
    expect(Number(size)).toBeGreaterThan(0);
    expect(sizes).toEqual([size!, size!, size!]);
  });

  test("every field of every width reads back what was written, and nothing beside it changes", () => {
    const define = (width: 8 | 16 | 32, fields: Fields): Register =>
      width === 8 ? r8(4, fields) : width === 16 ? r16(4, fields) : r32(4, fields);
    fc.assert(
      fc.property(
        fc.constantFrom<8 | 16 | 32>(8, 16, 32),
        fc.nat(31),
        fc.nat(31),
        fc.nat(0xffffffff),
        fc.nat(0xffffffff),
        (width, x, y, before, bits) => {
          const [lo, hi] = [Math.min(x, y) % width, Math.max(x, y) % width].sort((a, b) => a - b) as [
            number,
            number,
          ];
          const map = registerMap("map", 8, { it: define(width, { field: rw(hi, lo) }) });
          const memory = new DataView(new ArrayBuffer(8));
          memory.setUint32(4, before, true);
          const view = map.view(memory);
          const mask = (1n << BigInt(hi - lo + 1)) - 1n;
          const value = BigInt(bits) & mask;
          const typed = view as unknown as { itField: number | boolean };
          typed.itField = hi === lo ? value === 1n : Number(value);
          expect(typed.itField).toBe(hi === lo ? value === 1n : Number(value));
          const kept = BigInt(before) & ~(mask << BigInt(lo));
          expect(BigInt(memory.getUint32(4, true))).toBe(kept | (value << BigInt(lo)));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("a map that cannot be", () => {
  test("is refused when it is described", () => {
    expect(() => registerMap("map", 3, { it: r32(0, "rw") })).toThrow('"map.it" must lie within');
    expect(() => registerMap("map", 4, { it: r16(-1, "rw") })).toThrow(RangeError);
    expect(() => registerMap("map", 4, { it: r16(0.5, "rw") })).toThrow(RangeError);
    expect(() => registerMap("map", 1, { it: r8(0, { a: ro(8) }) })).toThrow(
      '"map.it.a" must have bits of its register\'s 8',
    );
    expect(() => registerMap("map", 4, { it: r32(0, { a: rw(0, 3) }) })).toThrow(RangeError);
    expect(() => registerMap("map", 2, { it: r16(0, { a: ro(4), b: rws(5), c: rw1c(4) }) })).toThrow(
      "must have bits of its own",
    );
    expect(() => registerMap("map", 2, { it: r8(0, { self: ro(4) }), itSelf: r8(1, "rw") })).toThrow(
      '"map.it.self" must have another name, not "itSelf"',
    );
  });
});
