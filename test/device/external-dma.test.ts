import { describe, expect, test } from "bun:test";
import { ExternalDma, type GuestMemory } from "../../src/device/external-dma.ts";
import { MemoryPlatform } from "../../src/device/memory-platform.ts";
import { attach, memory } from "../support/attached.ts";

/** Two pieces of RAM, neighbours for the guest and strangers in this process. */
const ram: GuestMemory = {
  hostAddress(gpa, size) {
    const pieces = [
      { gpa: 0, size: 0x10000, hva: 0x7f00_0000_0000 },
      { gpa: 0x10000, size: 0x10000, hva: 0x7e00_0000_0000 },
    ];
    const piece = pieces.find((one) => gpa >= one.gpa && gpa + size <= one.gpa + one.size);
    return piece && piece.hva + (gpa - piece.gpa);
  },
};
const both = { readable: true, writable: true };
const state = (platform: MemoryPlatform) => platform.state().dma;

describe("mappings that a virtual IOMMU asks for", () => {
  test("defect 55: a range across two pieces of guest memory is refused, and maps nothing", () => {
    using platform = new MemoryPlatform();
    const dma = new ExternalDma(platform.dma!, ram);
    expect(() => dma.map({ iova: 0x100000, gpa: 0xf000, size: 0x2000, ...both })).toThrow(
      "not one piece of RAM",
    );
    dma.map({ iova: 0x100000, gpa: 0x11000, size: 0x1000, ...both });
    expect(state(platform)).toEqual([{ iova: 0x100000, size: 0x1000, hva: 0x7e00_0000_1000, ...both }]);
    expect(dma.unmap(0x100000, 0x1000)).toBe(0x1000);
  });

  test("defect 56: a range across a hole of a BAR is refused, one inside an area is found", () => {
    using it = attach({
      bars: { 0: { size: 0x4000 } },
      msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x1800] },
    });
    it.device.configWrite(0x04, 2, memory);
    const base = it.device.configRead(0x10, 4);
    const dma = new ExternalDma(it.platform.dma!, ram, [it.device]);
    expect(() => dma.map({ iova: 0x200000, gpa: base, size: 0x4000, ...both })).toThrow("not one piece");
    expect(() => dma.map({ iova: 0x200000, gpa: base + 0x1000, size: 0x1000, ...both })).toThrow(
      "not one piece",
    );
    dma.map({ iova: 0x200000, gpa: base + 0x3000, size: 0x1000, ...both });
    expect(dma.mappings).toHaveLength(1);
    expect(dma.forget(it.device)).toBe(0x1000);
    expect(dma.mappings).toEqual([]);
  });

  test("defect 57: access flags are kept, and a read-only BAR is not mapped for writing", () => {
    using it = attach({ bars: { 0: { size: 0x1000, writable: false } } });
    it.device.configWrite(0x04, 2, memory);
    const gpa = it.device.configRead(0x10, 4);
    const dma = new ExternalDma(it.platform.dma!, ram, [it.device]);
    expect(() => dma.map({ iova: 0x300000, gpa, size: 0x1000, ...both })).toThrow("cannot be written");
    dma.map({ iova: 0x300000, gpa, size: 0x1000, readable: true, writable: false });
    dma.map({ iova: 0x400000, gpa: 0, size: 0x1000, readable: false, writable: true });
    const flags = state(it.platform).filter(({ iova }) => iova === 0x300000 || iova === 0x400000);
    expect(flags.map(({ readable, writable }) => [readable, writable])).toEqual([
      [true, false],
      [false, true],
    ]);
    dma.unmap(0, 2 ** 40);
  });

  test("defect 58: an unmap takes whole mappings, many or none, and cuts none in two", () => {
    using platform = new MemoryPlatform();
    const dma = new ExternalDma(platform.dma!, ram);
    for (const page of [0, 2, 3]) dma.map({ iova: page * 0x1000, gpa: page * 0x1000, size: 0x1000, ...both });
    dma.map({ iova: 0x8000, gpa: 0x4000, size: 0x4000, ...both });
    expect(() => dma.unmap(0, 0x9000)).toThrow("cuts the mapping");
    expect(state(platform)).toHaveLength(4);
    expect(dma.unmap(0x5000, 0x1000)).toBe(0);
    expect(dma.unmap(0, 0x8000)).toBe(0x3000);
    expect(dma.unmap(0, 0x10000)).toBe(0x4000);
    expect(state(platform)).toEqual([]);
  });

  test("a mapping over another names both; one that the IOMMU refuses is not held", () => {
    using platform = new MemoryPlatform();
    const dma = new ExternalDma(platform.dma!, ram);
    dma.map({ iova: 0x1000, gpa: 0, size: 0x2000, ...both });
    expect(() => dma.map({ iova: 0x2000, gpa: 0x4000, size: 0x1000, ...both })).toThrow(/0x2000.*0x1000/s);
    platform.failNext("dma-map");
    expect(() => dma.map({ iova: 0x8000, gpa: 0, size: 0x1000, ...both })).toThrow();
    expect(dma.mappings).toHaveLength(1);
    dma.unmap(0, 2 ** 40);
  });
});
