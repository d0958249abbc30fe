import { describe, expect, test } from "bun:test";
import {
  capabilityType,
  expressCapability,
  layoutOf,
  standardCapabilities,
  type LocatedCapability,
} from "../../src/regs/index.ts";

/** The one capability of a config space that has `body` at 0x40. */
function located(
  body: readonly number[],
  { type = 0, vendor = [0x34, 0x12, 0, 0x10], next = 0 } = {},
): LocatedCapability {
  const config = new Uint8Array(256);
  config.set(vendor);
  config[0x06] = 0x10;
  config[0x0e] = type;
  config[0x34] = 0x40;
  config.set(body, 0x40);
  config[0x41] = next;
  return layoutOf(config).capabilities[0]!;
}
const sizeOf = (body: readonly number[], options?: Parameters<typeof located>[1]): number =>
  located(body, options).map.size;
const registersOf = (body: readonly number[], options?: Parameters<typeof located>[1]): string[] =>
  Object.keys(located(body, options).map.registers);

describe("layouts that a capability's own bytes choose", () => {
  test("MSI: address width, masking, extended data", () => {
    expect([0x0000, 0x0080, 0x0100, 0x0180, 0x0200, 0x0280].map((flags) => sizeOf([5, 0, flags & 0xff, flags >> 8]))).toEqual([
      10, 14, 20, 24, 12, 16,
    ]); // prettier-ignore
  });

  test("PCI Express: version, port type and slot", () => {
    const size = (version: number, type: number, slot = 0): number =>
      sizeOf([0x10, 0, (type << 4) | version, slot]);
    expect([size(1, 0), size(1, 9), size(1, 6, 1), size(1, 4), size(1, 4, 1), size(1, 10)]).toEqual([20, 12, 28, 36, 36, 36]); // prettier-ignore
    expect([size(2, 0), size(2, 9), size(2, 4, 1), size(2, 10)]).toEqual([60, 60, 60, 60]);
    const has = (type: number, slot: number, name: string): boolean =>
      registersOf([0x10, 0, (type << 4) | 2, slot]).includes(name);
    expect([has(0, 0, "linkStatus"), has(9, 0, "linkStatus"), has(10, 0, "linkStatus2")]).toEqual([
      true,
      false,
      false,
    ]);
    expect([has(4, 1, "slotStatus"), has(4, 0, "slotStatus"), has(0, 1, "slotStatus")]).toEqual([
      true,
      false,
      false,
    ]);
    expect([has(4, 0, "rootStatus"), has(10, 0, "rootStatus"), has(6, 0, "rootStatus")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("PCI Express of version 2 may leave out its reserved end, where another capability starts", () => {
    expect(sizeOf([0x10, 0, 0x02, 0], { next: 0x74 })).toBe(52);
    expect(sizeOf([0x10, 0, 0x92, 0], { next: 0x6c })).toBe(44);
    expect(located([0x10, 0, 0x02, 0], { next: 0x70 }).map.name).toBe("unknown");
  });

  test("PCI Express: bit 15 of device control starts a reset, except in a bridge to PCI", () => {
    const top = (type: number): string[] =>
      Object.keys(located([0x10, 0, (type << 4) | 2, 0]).map.registers["deviceControl"]!.fields).slice(-1);
    expect([top(0), top(7)]).toEqual([["functionLevelReset"], ["configurationRetry"]]);
  });

  test("PCI-X: header type and ECC registers", () => {
    expect([sizeOf([7, 0, 0, 0]), sizeOf([7, 0, 0, 0x10]), sizeOf([7, 0, 0, 0], { type: 1 })]).toEqual([
      8, 24, 16,
    ]);
  });

  test("HyperTransport: the block's type", () => {
    expect([0x00, 0x20, 0xa8, 0x80, 0x40].map((high) => sizeOf([8, 0, 0, high]))).toEqual([28, 24, 12, 8, 4]);
    expect(sizeOf([8, 0, 2, 0xa8])).toBe(4);
  });

  test("vendor-specific: as long as it says, between its head and the space that is left", () => {
    expect([0, 2, 3, 16, 255].map((length) => sizeOf([9, 0, length]))).toEqual([3, 3, 3, 16, 192]);
    expect(sizeOf([9, 0, 0x20], { next: 0x48 })).toBe(8);
  });

  test("virtio: the structure's type, in a virtio device alone and where its length has room", () => {
    const virtio = { vendor: [0xf4, 0x1a, 0x41, 0x10] };
    expect([[1, 16], [2, 20], [5, 20], [8, 24], [77, 16]].map(([type, length]) => sizeOf([9, 0, length!, type!], virtio))).toEqual([
      16, 20, 20, 24, 16,
    ]); // prettier-ignore
    expect([sizeOf([9, 0, 16, 2], virtio), located([9, 0, 16, 2], virtio).map.name]).toEqual([16, "virtio"]);
    expect(located([9, 0, 15, 1], virtio).map.name).toBe("Vendor");
    for (const vendor of [
      [0xf4, 0x1a, 0x00, 0x20],
      [0x22, 0x10, 0x41, 0x10],
    ])
      // prettier-ignore
      expect(located([9, 0, 20, 2], { vendor }).map.name).toBe("Vendor");
  });

  test("AGP 3 mode and SATA's pair in config space", () => {
    expect(
      Object.keys(located([2, 0, 0x30, 0, 8]).map.registers["status"]!.fields["rate"]!.values!),
    ).toContain("x8");
    expect(
      Object.keys(located([2, 0, 0x30, 0, 0]).map.registers["status"]!.fields["rate"]!.values!),
    ).not.toContain("x8");
    expect([sizeOf([0x12, 0, 0x10, 0, 0x48]), sizeOf([0x12, 0, 0x10, 0, 0x4f])]).toEqual([8, 16]);
  });

  test("Enhanced Allocation: entries one after another, as long as they say, whole or not at all", () => {
    const entry = (size: number, base: number, limit: number): number[] => [
      size,
      0,
      0,
      0x80,
      base,
      0,
      0,
      0,
      limit,
      0xff,
      0,
      0,
    ];
    const plain = entry(2, 0, 0);
    const wide = [...entry(4, 2, 2), 1, 0, 0, 0, 2, 0, 0, 0];
    expect(registersOf([0x14, 0, 2, 0, ...wide, ...plain])).toEqual([
      "id", "next", "entries",
      "entry0", "entry0Base", "entry0MaxOffset", "entry0BaseUpper", "entry0MaxOffsetUpper",
      "entry1", "entry1Base", "entry1MaxOffset",
    ]); // prettier-ignore
    expect(sizeOf([0x14, 0, 2, 0, ...wide, ...plain])).toBe(4 + 20 + 12);
    expect(sizeOf([0x14, 0, 2, 0, ...wide, ...plain], { next: 0x60 })).toBe(4 + 20);
    expect(sizeOf([0x14, 0, 1, 0, 0, 0, 0, 0, ...plain], { type: 1 })).toBe(8 + 12);
    // An entry of size 0 is its header alone: 47 of them fill the space, whatever the count says.
    expect(sizeOf([0x14, 0, 63, 0])).toBe(192);
  });
});

test("every standard ID is there once, and found", () => {
  const ids = standardCapabilities.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const type of standardCapabilities) expect(capabilityType(type.id, false)).toBe(type);
  expect(capabilityType(0x3f, false)).toBeUndefined();
});

test("labels of one map name one field each", () => {
  for (const { registers } of [
    expressCapability,
    ...standardCapabilities.map(({ layout }) => layout(new DataView(new ArrayBuffer(256)), 0x40, 192)),
  ]) {
    const labels = Object.entries(registers).flatMap(([name, { label, fields }]) =>
      Object.entries(fields).map(([key, field]) => `${label ?? name}: ${field.label ?? key}`),
    );
    expect(labels.filter((label, index) => labels.indexOf(label) !== index)).toEqual([]);
  }
});
