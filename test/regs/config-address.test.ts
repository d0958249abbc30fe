import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  ConfigAddressPort,
  configAddressPort,
  configDataPort,
  decodeEcam,
  ecamSize,
  encodeEcam,
} from "../../src/regs/config-address.ts";

const address = fc.record({
  bus: fc.nat(255),
  device: fc.nat(31),
  function: fc.nat(7),
  offset: fc.nat(4095),
});

describe("ECAM", () => {
  test("bits of the offset", () => {
    expect(decodeEcam(0)).toEqual({ bus: 0, device: 0, function: 0, offset: 0 });
    expect(decodeEcam(0x0010_0000)).toEqual({ bus: 1, device: 0, function: 0, offset: 0 });
    expect(decodeEcam(0x0000_8000)).toEqual({ bus: 0, device: 1, function: 0, offset: 0 });
    expect(decodeEcam(0x0000_1000)).toEqual({ bus: 0, device: 0, function: 1, offset: 0 });
    expect(decodeEcam(0x0fff_ffff)).toEqual({ bus: 255, device: 31, function: 7, offset: 4095 });
    expect(encodeEcam({ bus: 1, device: 2, function: 3, offset: 0x45 })).toBe(0x0011_3045);
  });

  test("encode and decode undo each other", () => {
    fc.assert(fc.property(address, (one) => expect(decodeEcam(encodeEcam(one))).toEqual(one)));
    fc.assert(
      fc.property(fc.nat(ecamSize - 1), (offset) => expect(encodeEcam(decodeEcam(offset)!)).toBe(offset)),
    );
  });

  test("beyond bus 255 there is nothing, however far", () => {
    for (const offset of [ecamSize, 2 ** 32, 2 ** 32 + 0x1000, Number.MAX_SAFE_INTEGER])
      expect(decodeEcam(offset)).toBeUndefined();
  });

  test("an access does not reach into the next function", () => {
    expect(decodeEcam(0xffc, 4)).toEqual({ bus: 0, device: 0, function: 0, offset: 0xffc });
    expect(decodeEcam(0xffd, 4)).toBeUndefined();
    expect(decodeEcam(0xfff, 2)).toBeUndefined();
    expect(decodeEcam(0xff8, 8)?.offset).toBe(0xff8);
  });

  test("a width that no bus makes but a guest can cause means no register", () => {
    for (const width of [3, 5, 6, 7]) expect(decodeEcam(0, width)).toBeUndefined();
  });

  test("refuses what is no access", () => {
    for (const bad of [-1, 0.5, NaN]) expect(() => decodeEcam(bad)).toThrow(RangeError);
    for (const bad of [0, -1, 2.5, NaN, 9, 16]) expect(() => decodeEcam(0, bad)).toThrow(RangeError);
    expect(() => decodeEcam(0, "4" as unknown as number)).toThrow(TypeError);
    expect(() => decodeEcam(0n as unknown as number)).toThrow(TypeError);
    const good = { bus: 0, device: 0, function: 0, offset: 0 };
    for (const bad of [{ bus: 256 }, { device: 32 }, { function: 8 }, { offset: 4096 }, { bus: -1 }])
      expect(() => encodeEcam({ ...good, ...bad })).toThrow(RangeError);
  });
});

describe("ports 0xCF8 and 0xCFC", () => {
  test("a dword selects, a data access of any width reads from there", () => {
    const port = new ConfigAddressPort();
    // Enable, bus 1, device 2, function 3, register 0x44.
    expect(port.write(configAddressPort, 4, 0x8001_1344)).toBe(true);
    expect(port.read(configAddressPort, 4)).toBe(0x8001_1344);
    expect(port.target(configDataPort, 4)).toEqual({ bus: 1, device: 2, function: 3, offset: 0x44 });
    expect(port.target(0xcfd, 1)).toEqual({ bus: 1, device: 2, function: 3, offset: 0x45 });
    expect(port.target(0xcfe, 2)).toEqual({ bus: 1, device: 2, function: 3, offset: 0x46 });
    expect(port.target(0xcff, 1)).toEqual({ bus: 1, device: 2, function: 3, offset: 0x47 });
  });

  test("each function is its own: none is an alias of function 0", () => {
    const port = new ConfigAddressPort();
    const seen = Array.from({ length: 8 }, (_, fn) => {
      port.write(configAddressPort, 4, 0x8000_0000 + fn * 0x100);
      return port.target(configDataPort, 4)?.function;
    });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(Array.from({ length: 8 }, (_, fn) => decodeEcam(fn * 0x1000)?.function)).toEqual(seen);
  });

  test("only a dword at 0xCF8 is an access to the address: bytes and words pass by and change nothing", () => {
    const port = new ConfigAddressPort();
    port.write(configAddressPort, 4, 0x8001_1344);
    for (const [at, width] of [
      [0xcf8, 1],
      [0xcf8, 2],
      [0xcf9, 1],
      [0xcf9, 2],
      [0xcfa, 2],
      [0xcfa, 1],
      [0xcfb, 1],
      [0xcf9, 4],
      [0xcf4, 4],
      [0xcf8, 8],
      [0xcf8, 3],
      [0xcf8, 5],
      [0xcf8, 6],
      [0xcf8, 7],
    ] as const) {
      expect(port.write(at, width, 0xff)).toBe(false);
      expect(port.read(at, width)).toBeUndefined();
    }
    expect(port.value).toBe(0x8001_1344);
  });

  test("without the enable bit nothing is selected", () => {
    const port = new ConfigAddressPort();
    expect(port.target(configDataPort, 4)).toBeUndefined();
    port.write(configAddressPort, 4, 0x7fff_ffff);
    expect(port.value).toBe(0x00ff_fffc);
    expect(port.target(configDataPort, 4)).toBeUndefined();
  });

  test("reserved bits read 0", () => {
    const port = new ConfigAddressPort();
    port.write(configAddressPort, 4, 0xffff_ffff);
    expect(port.read(configAddressPort, 4)).toBe(0x80ff_fffc);
    expect(port.target(configDataPort, 4)).toEqual({ bus: 255, device: 31, function: 7, offset: 0xfc });
  });

  test("an access past 0xCFF, or elsewhere, selects nothing", () => {
    const port = new ConfigAddressPort(0x8000_0000);
    for (const [at, width] of [
      [0xcfd, 4],
      [0xcff, 2],
      [0xcfc, 8],
      [0xcfc, 3],
      [0xcfd, 3],
      [0xcfc, 5],
      [0xcfc, 7],
      [0xcfb, 1],
      [0xd00, 1],
      [0xcf8, 4],
    ] as const)
      expect(port.target(at, width)).toBeUndefined();
  });

  test("comes back from its value", () => {
    const port = new ConfigAddressPort();
    port.write(configAddressPort, 4, 0x8001_1344);
    expect(new ConfigAddressPort(port.value).target(configDataPort, 4)).toEqual(
      port.target(configDataPort, 4)!,
    );
    expect(new ConfigAddressPort(0xffff_ffff).value).toBe(0x80ff_fffc);
  });

  test("refuses what is no access", () => {
    const port = new ConfigAddressPort();
    expect(() => port.write(configAddressPort, 4, -1)).toThrow(RangeError);
    expect(() => port.write(configAddressPort, 4, 2 ** 32)).toThrow(RangeError);
    expect(() => port.write(configAddressPort, 4, 1n as unknown as number)).toThrow(TypeError);
    expect(() => port.target(0x1_0000, 1)).toThrow(RangeError);
    for (const bad of [0, 9, 1.5]) {
      expect(() => port.target(configDataPort, bad)).toThrow(RangeError);
      expect(() => port.read(configAddressPort, bad)).toThrow(RangeError);
      expect(() => port.write(configAddressPort, bad, 0)).toThrow(RangeError);
    }
    expect(() => new ConfigAddressPort(2 ** 32)).toThrow(RangeError);
  });
});
