import { describe, expect, test } from "bun:test";
import {
  capabilityId,
  endpointHeader,
  expressCapability,
  extendedCapabilities,
  extendedCapabilityId,
  msixCapability,
  powerManagementCapability,
  r32,
  r64,
  r8,
  registerMap,
  rw,
  standardCapabilities,
} from "../../src/regs/index.ts";

describe("a reference to a register", () => {
  test("carries its offset, width and masks", () => {
    const { map, name, at, width, size, writeMask, clearMask } = endpointHeader.register("status");
    expect({ map, name, at, width, size, writeMask, clearMask }).toEqual({
      map: "type 0 header",
      name: "status",
      at: 6,
      width: 16,
      size: 2,
      writeMask: 0,
      clearMask: 0xf900,
    });
    expect(endpointHeader.register("command").writeMask).toBe(0x0547);
    expect(endpointHeader.register("bar0").writeMask).toBe(0xffffffff);
  });

  test("reads and writes the whole value where the map lies", () => {
    const memory = new DataView(new ArrayBuffer(32));
    const control = msixCapability.register("control");
    control.write(memory, 0xc003, 16);
    expect([memory.getUint16(18, true), control.read(memory, 16), control.read(memory)]).toEqual([
      0xc003, 0xc003, 0,
    ]);
  });

  test("of 64 bits has a bigint", () => {
    const wide = registerMap("wide", 8, { address: r64(0, "rw") }).register("address");
    const memory = new DataView(new ArrayBuffer(8));
    wide.write(memory, 1n << 63n);
    expect([wide.read(memory), wide.writeMask, wide.clearMask]).toEqual([
      1n << 63n,
      0xffff_ffff_ffff_ffffn,
      0n,
    ]);
  });
});

describe("a reference to a field", () => {
  test("carries its register, bits, mask and byte", () => {
    const reset = expressCapability.field("deviceControl.functionLevelReset");
    expect([reset.register.at, reset.hi, reset.lo, reset.mask, reset.access]).toEqual([
      8,
      15,
      15,
      0x8000,
      "rw",
    ]);
    expect(reset.byte).toEqual({ at: 9, mask: 0x80 });
    // Of a field over several bytes: the byte with its lowest bit.
    expect(msixCapability.field("table.offset").byte).toEqual({ at: 4, mask: 0xf8 });
    expect(expressCapability.field("slotCapabilities.physicalSlot").mask).toBe(0xfff8_0000);
  });

  test("takes a value out of a register's and puts one in", () => {
    const state = powerManagementCapability.field("control.powerState");
    expect([state.of(0x8103), state.with(0x8103, "D0")]).toEqual(["D3", 0x8100]);
    const top = expressCapability.field("deviceCapabilities2.frs");
    expect([top.of(0x8000_0000), top.with(0, true), top.with(0xffff_ffff, false)]).toEqual([
      true,
      0x8000_0000,
      0x7fff_ffff,
    ]);
    expect(() => state.with(0, "D4" as "D3")).toThrow(
      '"PM.control.powerState" must be one of D0, D1, D2, D3, not "D4"',
    );
  });

  test("reads and writes memory, and leaves what is beside it", () => {
    const memory = new DataView(Uint8Array.from([0, 0, 0xff, 0x7f]).buffer);
    const enable = msixCapability.field("control.enable");
    enable.write(memory, true);
    expect([memory.getUint16(2, true), enable.read(memory)]).toEqual([0xffff, true]);
  });

  test("that is not there is refused", () => {
    // @ts-expect-error no such field
    expect(() => endpointHeader.field("command.memory")).toThrow('has no field "command.memory"');
    // @ts-expect-error no such register
    expect(() => endpointHeader.register("toString")).toThrow('has no register "toString"');
    // @ts-expect-error a register's name is no path
    expect(() => endpointHeader.field("command")).toThrow(RangeError);
  });
});

describe("the numbers of capabilities", () => {
  test("are what the maps are declared by, each once", () => {
    const known: readonly number[] = Object.values(capabilityId);
    expect(new Set(known).size).toBe(known.length);
    for (const { id } of standardCapabilities) expect(known).toContain(id);
    const extended: readonly number[] = Object.values(extendedCapabilityId);
    expect(new Set(extended).size).toBe(extended.length);
    for (const { id } of extendedCapabilities) expect(extended).toContain(id);
    expect(standardCapabilities.find(({ name }) => name === "PCIe")?.id).toBe(capabilityId.express);
  });
});

describe("a field refuses what is no value of its register, by name", () => {
  const map = registerMap("map", 16, {
    byte: r8(0, { f: rw(5, 2) }),
    long: r32(4, { f: rw(31, 30), flag: rw(0) }),
    wide: r64(8, { f: rw(40, 33) }),
  });
  const wrong: readonly (readonly [path: "byte.f" | "long.f" | "wide.f", raw: unknown, type: string])[] = [
    ["byte.f", 0x100, "RangeError"],
    ["byte.f", -1, "RangeError"],
    ["byte.f", 1.5, "RangeError"],
    ["byte.f", NaN, "RangeError"],
    ["byte.f", "1", "TypeError"],
    ["byte.f", undefined, "TypeError"],
    ["byte.f", 1n, "TypeError"],
    ["long.f", 2 ** 32, "RangeError"],
    ["long.f", -(2 ** 31), "RangeError"],
    ["wide.f", 1, "TypeError"],
    ["wide.f", -1n, "RangeError"],
    ["wide.f", 1n << 64n, "RangeError"],
  ];
  test.each(wrong)("%s of %p: %s", (path, raw, type) => {
    const field = map.field(path);
    const told = new RegExp(`^${type}: "map.${path.slice(0, -2)}" must be `);
    for (const use of [
      () => field.of(raw as never),
      () => field.bits(raw as never),
      () => field.with(raw as never, 0),
    ])
      expect(String(thrown(use))).toMatch(told);
  });
  const thrown = (use: () => unknown): unknown => {
    try {
      return use();
    } catch (error) {
      return error;
    }
  };
  test("and what fits it has", () => {
    expect(map.field("long.f").of(0xc000_0000)).toBe(3);
    expect(map.field("long.f").bits(0x8000_0000)).toBe(2);
    expect(map.field("long.flag").with(0xffff_ffff, false)).toBe(0xffff_fffe);
    expect(map.field("wide.f").of(0xffn << 33n)).toBe(255);
  });
});
