import { describe, expect, test } from "bun:test";
import {
  bridgeHeader,
  emulated,
  endpointHeader,
  expressCapability,
  hwinit,
  layoutOf,
  msi32,
  msi64,
  msi64Masked,
  msixCapability,
  powerManagementCapability,
  precious,
  r16,
  r32,
  r64,
  r8,
  registerMap,
  reset,
  ro,
  rsvdp,
  rw,
  rw1c,
  rw1cs,
  rws,
  virtioPciConfigCapability,
  volatile,
  vpdCapability,
} from "../../src/regs/index.ts";

const hexOf = (table: Uint8Array): string => table.toHex();

describe("byte masks", () => {
  test("each access word and trait sets its own table, bit for bit", () => {
    const { masks } = registerMap("map", 8, {
      mixed: r16(0, {
        read: ro(1, 0),
        stored: rw(3, 2),
        cleared: rw1c(4),
        fixed: hwinit(5),
        kept: rws(6),
        clearedKept: rw1cs(7),
        reserved: rsvdp(8),
        model: emulated(rw(9)),
        moving: volatile(ro(10)),
        secret: precious(ro(11)),
      }),
      whole: reset(0x81, r8(3, "rw")),
      wide: emulated(volatile(r32(4, { low: rw(15, 0), high: ro(31, 16) }))),
    });
    expect({
      write: hexOf(masks.write),
      w1c: hexOf(masks.w1c),
      sticky: hexOf(masks.sticky),
      emulated: hexOf(masks.emulated),
      volatile: hexOf(masks.volatile),
      precious: hexOf(masks.precious),
      defined: hexOf(masks.defined),
      reset: hexOf(masks.reset),
    }).toEqual({
      write: "4c0200ffffff0000",
      w1c: "9000000000000000",
      sticky: "e000000000000000",
      emulated: "00020000ffffffff",
      // What has a side effect when read cannot be served from a shadow either.
      volatile: "000c0000ffffffff",
      precious: "0008000000000000",
      defined: "ff0f00ffffffffff",
      reset: "0000008100000000",
    });
  });

  test("a 64-bit register covers eight bytes", () => {
    expect(hexOf(registerMap("map", 8, { it: r64(0, "rw") }).masks.write)).toBe("ffffffffffffffff");
  });

  test("the header: BARs, ROM, the list pointer and the multi-function bit are the model's", () => {
    const { masks } = endpointHeader;
    expect(hexOf(masks.emulated.subarray(0x00, 0x10))).toBe("00000000000000000000000000008000");
    expect(hexOf(masks.emulated.subarray(0x10, 0x28))).toBe("ff".repeat(24));
    expect(hexOf(masks.emulated.subarray(0x30, 0x38))).toBe("01f8ffffff000000");
    expect(hexOf(masks.write.subarray(0x04, 0x08))).toBe("47050000");
    expect(hexOf(masks.w1c.subarray(0x06, 0x08))).toBe("00f9");
    expect(hexOf(masks.volatile.subarray(0x06, 0x08))).toBe("08f9");
    expect(hexOf(bridgeHeader.masks.emulated.subarray(0x10, 0x18))).toBe("ff".repeat(8));
    expect(hexOf(bridgeHeader.masks.emulated.subarray(0x38, 0x3c))).toBe("01f8ffff");
  });

  test("the self test's register is volatile only where there is a self test", () => {
    const config = new Uint8Array(64);
    expect(layoutOf(config).header!.masks.volatile[0x0f]).toBe(0);
    config[0x0f] = 0x80;
    expect(layoutOf(config).header!.masks.volatile[0x0f]).toBe(0x4f);
  });

  test("MSI is the model's in each layout; what is pending changes by itself", () => {
    for (const map of [msi32, msi64, msi64Masked])
      expect(hexOf(map.masks.emulated.subarray(4))).toBe("ff".repeat(map.size - 4));
    expect(hexOf(msi64Masked.masks.emulated.subarray(0, 4))).toBe("00ffff07");
    expect(hexOf(msi64Masked.masks.volatile.subarray(0x10))).toBe("00000000ffffffff");
    expect(hexOf(msi64.masks.volatile)).toBe("00".repeat(16));
  });

  test("MSI-X is the model's, and static", () => {
    expect(hexOf(msixCapability.masks.emulated)).toBe("00ffffc7ffffffffffffffff");
    expect(hexOf(msixCapability.masks.write)).toBe("000000c00000000000000000");
    expect(hexOf(msixCapability.masks.volatile)).toBe("00".repeat(12));
  });

  test("power management: PME status is sticky, write 1 to clear, and moves by itself", () => {
    const { masks } = powerManagementCapability;
    expect(hexOf(masks.w1c)).toBe("0000000000800000");
    expect(hexOf(masks.volatile)).toBe("0000000000800000");
    expect(hexOf(masks.sticky.subarray(4, 6))).toBe("0081");
    expect(hexOf(masks.write.subarray(4, 6))).toBe("031f");
  });

  test("PCI Express: status registers move by themselves, capabilities do not", () => {
    const { masks } = expressCapability;
    expect(hexOf(masks.volatile.subarray(0x00, 0x14))).toBe("000000000000000000007f00000000000000ffef");
    expect(hexOf(masks.w1c.subarray(0x08, 0x14))).toBe("00004f0000000000000000c0");
  });

  test("VPD: the flag and the data move; a virtio window's data must not be read in a dump", () => {
    expect(hexOf(vpdCapability.masks.volatile)).toBe("00000080ffffffff");
    expect(hexOf(virtioPciConfigCapability.masks.precious)).toBe(`${"00".repeat(16)}ffffffff`);
  });
});
