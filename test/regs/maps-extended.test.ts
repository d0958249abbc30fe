import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { layoutOf } from "../../src/regs/layout.ts";
import type { RegisterBlock } from "../../src/regs/map.ts";
import { aerCapability, aerRootCapability } from "../../src/regs/maps/aer.ts";
import { ariCapability } from "../../src/regs/maps/ari.ts";
import { doeCapability } from "../../src/regs/maps/doe.ts";
import { extendedCapabilities } from "../../src/regs/maps/extended.ts";
import { capabilityType } from "../../src/regs/maps/index.ts";
import { barSizes, resizableBarEntry } from "../../src/regs/maps/rebar.ts";
import { srIovCapability } from "../../src/regs/maps/sr-iov.ts";

const mask = (map: RegisterBlock, kind: keyof RegisterBlock["masks"], at: number, bytes = 4): number => {
  const table = map.masks[kind];
  return new DataView(table.buffer, table.byteOffset).getUint32(at, true) % 2 ** (8 * bytes);
};

/** A config space with one extended capability (a second one bounds it at `end`), behind a PCI Express Capability of the given port type and width. */
function configWith(
  id: number,
  body: Readonly<Record<number, number>>,
  { type = 0, lanes = 0, end = 4096, tlpPrefix = false } = {},
): Uint8Array {
  const config = new Uint8Array(4096);
  const memory = new DataView(config.buffer);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  memory.setUint32(0x40, 0x10 | (2 << 16) | (type << 20), true);
  memory.setUint32(0x4c, lanes << 4, true);
  memory.setUint32(0x64, tlpPrefix ? 1 << 21 : 0, true);
  for (const [at, value] of Object.entries(body)) memory.setUint32(0x100 + Number(at), value, true);
  memory.setUint32(0x100, (id | (1 << 16) | ((end === 4096 ? 0 : end) << 20)) >>> 0, true);
  if (end < 4096) memory.setUint32(end, 0x0c | (1 << 16), true);
  return config;
}
const mapOf = (config: Uint8Array): RegisterBlock =>
  layoutOf(config).capabilities.find((c) => c.extended)!.map;

describe("masks", () => {
  const uncorrectable = 0xffff_f030 | 0;
  test("AER: status is cleared by a 1, masks are stored, and both are sticky", () => {
    expect(mask(aerCapability, "w1c", 0x04) | 0).toBe(uncorrectable);
    expect(mask(aerCapability, "write", 0x04)).toBe(0);
    expect(mask(aerCapability, "volatile", 0x04) | 0).toBe(uncorrectable);
    for (const at of [0x08, 0x0c]) {
      expect(mask(aerCapability, "write", at) | 0).toBe(uncorrectable);
      expect(mask(aerCapability, "w1c", at)).toBe(0);
      expect(mask(aerCapability, "volatile", at)).toBe(0);
    }
    for (const at of [0x04, 0x08, 0x0c]) expect(mask(aerCapability, "sticky", at) | 0).toBe(uncorrectable);
    expect(mask(aerCapability, "w1c", 0x10)).toBe(0xf1c1);
    expect(mask(aerCapability, "write", 0x14)).toBe(0xf1c1);
    expect(mask(aerCapability, "reset", 0x0c)).toBe(0x0046_2030);
  });

  test("AER: of the capabilities only the three enables can be written", () => {
    expect(mask(aerCapability, "write", 0x18)).toBe(0x540);
    expect(mask(aerCapability, "sticky", 0x18)).toBe(0x540 | 0x1f | 0x800 | 0x00fc_0000);
    for (const at of [0x1c, 0x20, 0x24, 0x28]) expect(mask(aerCapability, "volatile", at)).toBe(0xffff_ffff);
  });

  test("AER of a root port: commands stored, status cleared by a 1 but for its message number", () => {
    expect(mask(aerRootCapability, "write", 0x2c)).toBe(7);
    expect(mask(aerRootCapability, "w1c", 0x30)).toBe(0x7f);
    expect(mask(aerRootCapability, "volatile", 0x30)).toBe(0xf800_01ff);
    expect(mask(aerRootCapability, "write", 0x34)).toBe(0);
  });

  test("SR-IOV: control, number of VFs, page size and BARs are stored, counts are not", () => {
    expect(mask(srIovCapability, "write", 0x08)).toBe(0x7f);
    expect(mask(srIovCapability, "w1c", 0x08)).toBe(1 << 16);
    expect(mask(srIovCapability, "write", 0x0c)).toBe(0);
    expect(mask(srIovCapability, "write", 0x10)).toBe(0xffff);
    expect(mask(srIovCapability, "volatile", 0x14)).toBe(0xffff_ffff);
    expect(mask(srIovCapability, "write", 0x20)).toBe(0xffff_ffff);
    for (let bar = 0; bar < 6; bar++)
      expect(mask(srIovCapability, "write", 0x24 + 4 * bar)).toBe(0xffff_ffff);
    expect(mask(srIovCapability, "write", 0x3c)).toBe(0);
    expect(mask(srIovCapability, "reset", 0x20)).toBe(1);
  });

  test("resizable BAR: only the size can be written", () => {
    expect(mask(resizableBarEntry, "write", 0)).toBe(0);
    expect(mask(resizableBarEntry, "write", 4)).toBe(0x3f00);
    expect(mask(resizableBarEntry, "defined", 4)).toBe(0xffff_3fe7);
    expect([barSizes[0], barSizes[10], barSizes[28], barSizes[43], barSizes.length]).toEqual([
      "1MB",
      "1GB",
      "256TB",
      "8EB",
      44,
    ]);
  });

  test("DOE: the read mailbox alone is precious", () => {
    expect(mask(doeCapability, "precious", 0x14)).toBe(0xffff_ffff);
    expect(doeCapability.masks.precious.filter((byte) => byte !== 0).length).toBe(4);
    expect(mask(doeCapability, "volatile", 0x10)).toBe(0xffff_ffff);
    expect(mask(doeCapability, "w1c", 0x0c)).toBe(0b1010);
    expect(mask(doeCapability, "write", 0x08)).toBe(0x8000_000f);
  });

  test("the model owns the header of each, and the next function of ARI", () => {
    for (const type of extendedCapabilities) {
      const map = type.layout(new DataView(new ArrayBuffer(4096)), 0x100, 0xf00);
      expect(mask(map, "emulated", 0)).toBe(0xffff_ffff);
      const owned = map.masks.emulated.subarray(4).reduce((sum, byte) => sum + byte, 0);
      expect([type.name, owned]).toEqual([type.name, type.name === "ARI" ? 0xff : 0]);
    }
    expect(ariCapability.masks.emulated[5]).toBe(0xff);
  });
});

describe("layouts", () => {
  test("AER has root registers at root ports and event collectors, and a prefix log where it is supported", () => {
    expect(mapOf(configWith(0x01, {})).size).toBe(0x2c);
    expect(mapOf(configWith(0x01, {}, { type: 4 })).size).toBe(0x38);
    expect(mapOf(configWith(0x01, {}, { type: 10 })).size).toBe(0x38);
    expect(mapOf(configWith(0x01, {}, { tlpPrefix: true })).size).toBe(0x48);
    expect(mapOf(configWith(0x01, {}, { tlpPrefix: true, end: 0x130 })).size).toBe(0x2c);
    expect(mapOf(configWith(0x01, { 0x18: 14 << 13 }, { type: 4 })).size).toBe(0x60);
  });

  test("a virtual channel's tables belong to it", () => {
    expect(mapOf(configWith(0x02, {})).size).toBe(0x1c);
    expect(mapOf(configWith(0x02, { 0x04: 7 })).size).toBe(0x10 + 8 * 12);
    // 32 phases of 4 bits at 0x40; 64 entries of 8 bits at 0x60.
    const tables = { 0x04: 3 << 10, 0x08: 0x0400_0002, 0x10: 0x0600_0004 };
    const map = mapOf(configWith(0x02, tables));
    expect(map.size).toBe(0xa0);
    expect(map.masks.write[0x3c]).toBe(0);
    expect(map.masks.write[0x40]).toBe(0xff);
    // Over the registers, or past the end: none.
    expect(mapOf(configWith(0x02, { 0x08: 0x0100_0002 })).size).toBe(0x1c);
    expect(mapOf(configWith(0x02, { 0x08: 0xff00_0008 })).size).toBe(0x1c);
  });

  test("counts that a device states are clamped to what the specification allows", () => {
    expect(mapOf(configWith(0x15, { 0x08: 7 << 5 })).size).toBe(4 + 6 * 8);
    expect(mapOf(configWith(0x15, {})).size).toBe(4 + 8);
    expect(mapOf(configWith(0x24, { 0x08: 3 << 5 })).size).toBe(4 + 3 * 8);
    expect(mapOf(configWith(0x17, { 0x04: (0x7ff << 16) | (1 << 9) })).size).toBe(12 + 2 * 64);
    expect(mapOf(configWith(0x17, { 0x04: (0x7ff << 16) | (2 << 9) })).size).toBe(12);
    expect(mapOf(configWith(0x0d, { 0x04: 0x20 })).size).toBe(8 + 32);
    expect(mapOf(configWith(0x0d, { 0x04: 0x2120 })).size).toBe(8 + 8);
    expect(mapOf(configWith(0x1d, { 0x04: 0xf20 })).size).toBe(0x20 + 60);
    expect(mapOf(configWith(0x1d, { 0x04: 0x2020 })).size).toBe(0x20 + 64);
    expect(mapOf(configWith(0x1d, { 0x04: 0xf00 })).size).toBe(12);
    expect(mapOf(configWith(0x16, { 0x04: 0x1f })).size).toBe(0x30);
    expect(mapOf(configWith(0x05, { 0x04: 0xff00 }, { end: 0x140 })).size).toBe(0x40);
  });

  test("one entry a lane of the link", () => {
    const sizes = { 0x19: 0x0c + 32, 0x26: 0x20 + 16, 0x2a: 0x20 + 16, 0x31: 0x10 + 16, 0x27: 0x08 + 64 };
    for (const [id, size] of Object.entries(sizes))
      expect(mapOf(configWith(Number(id), {}, { lanes: 16 })).size).toBe(size);
    expect(mapOf(configWith(0x26, {}, { lanes: 63 })).size).toBe(0x20 + 32);
  });

  test("vendor-specific capabilities end where they say, and a short one holds its head", () => {
    expect(mapOf(configWith(0x0b, { 0x04: 0x30 << 20 })).size).toBe(0x30);
    expect(mapOf(configWith(0x0b, { 0x04: 3 << 20 })).size).toBe(8);
    expect(mapOf(configWith(0x0b, { 0x04: 0xfff0_0000 }, { end: 0x120 })).size).toBe(0x20);
    expect(mapOf(configWith(0x23, { 0x04: 0x30 << 20 })).size).toBe(0x30);
    expect(mapOf(configWith(0x23, {})).size).toBe(10);
  });

  test("a CXL DVSEC that is too short for its registers stays raw", () => {
    const head = (length: number): Record<number, number> => ({
      0x04: (length << 20) | (1 << 16) | 0x1e98,
      0x08: 0,
    });
    expect(Object.keys(mapOf(configWith(0x23, head(0x38))).registers)).toContain("range2BaseLow");
    expect(Object.keys(mapOf(configWith(0x23, head(0x30))).registers)).toEqual([
      "header",
      "header1",
      "dvsecId",
    ]);
  });

  test("one map for one size", () => {
    for (const { id } of extendedCapabilities) {
      const config = configWith(id, { 0x04: 0x0040_0103, 0x08: 0x0000_0040 }, { lanes: 4 });
      expect(mapOf(config)).toBe(mapOf(config.slice()));
    }
  });

  test("whatever the bytes hold, a layout stays inside what there is, or is a fixed map of its capability", () => {
    const smallest = new Map(
      extendedCapabilities.map((type) => [
        type.id,
        type.layout(new DataView(new ArrayBuffer(0x140)), 0x100, 0x40).size,
      ]),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...extendedCapabilities),
        fc.uint8Array({ minLength: 4, maxLength: 0x140 }),
        fc.integer({ min: 0, max: 63 }),
        fc.integer({ min: 0, max: 15 }),
        (type, body, lanes, port) => {
          const config = configWith(type.id, {}, { lanes, type: port });
          config.set(body, 0x100);
          const image = config.subarray(0, 0x100 + body.length);
          const { size, registers } = type.layout(
            new DataView(image.buffer, 0, image.length),
            0x100,
            body.length,
          );
          // Fixed parts (0x70 bytes with 8 virtual channels) may not fit, which `layoutOf` reports; what a count adds does.
          expect(size).toBeLessThanOrEqual(Math.max(body.length, smallest.get(type.id)!, 0x70));
          for (const { at, width } of Object.values(registers))
            expect(at + width / 8).toBeLessThanOrEqual(size);
          const head = { id: type.id, offset: 0x100 };
          new DataView(config.buffer).setUint32(0x100, type.id | (1 << 16), true);
          expect(layoutOf(image).capabilities.find(({ extended }) => extended)).toMatchObject(head);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

test("every ID is there once, and found", () => {
  const ids = extendedCapabilities.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  for (const type of extendedCapabilities) {
    expect(capabilityType(type.id, true)).toBe(type);
    expect(type.extended).toBe(true);
  }
  expect(new Set(extendedCapabilities.map(({ name }) => name)).size).toBe(ids.length);
});
