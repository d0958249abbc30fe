import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import type { RegionInfo } from "../../../../src/regs/vfio/regions.ts";
import { barRegisters } from "../../../../src/device/pci/header-registers.ts";
import type { Bar } from "../../../../src/device/pci/bars.ts";
import type { MsixGeometry } from "../../../../src/device/pci/msix-geometry.ts";
import {
  freesPages,
  relocate,
  type Relocation,
} from "../../../../src/device/passthrough/interrupts/msix-relocation.ts";
import { attach, bytesOf, memory, mmioRead, writeVector, type Attached } from "../../../support/attached.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const regions = (...sizes: number[]): RegionInfo[] =>
  sizes.map((size, index) => ({
    index,
    size,
    readable: true,
    writable: true,
    mappable: true,
    msixMappable: true,
  }));
const bar = (region: number, size: number, kind: Bar["kind"] = "memory64"): Bar => ({
  region,
  register: barRegisters[region]!,
  upper: kind === "memory64" ? barRegisters[region + 1] : undefined,
  kind,
  prefetchable: false,
  physicalSize: size,
  size,
});
const geometry = (vectors: number, table: [number, number], pba: [number, number]): MsixGeometry => ({
  vectors,
  table: { region: table[0], offset: table[1], size: vectors * 16 },
  pba: { region: pba[0], offset: pba[1], size: Math.ceil(vectors / 64) * 8 },
});

/** What "auto" makes of a geometry. */
const auto = (
  physical: MsixGeometry,
  bars: readonly Bar[],
  infos: readonly RegionInfo[],
  pageSize: number,
): Relocation | undefined => (freesPages(physical, infos, pageSize) ? relocate(physical, bars) : undefined);

describe("MSI-X relocation", () => {
  test("page-aligned table and PBA stay where they are", () => {
    expect(
      auto(geometry(65, [0, 0x2000], [0, 0x3000]), [bar(0, 0x4000)], regions(0x4000), 4096),
    ).toBeUndefined();
  });
  test("nothing else is in the 4 KiB that a structure begins: only where one begins inside may there be", () => {
    const free = (table: number, pba: number): boolean =>
      freesPages(geometry(16, [0, table], [0, pba]), regions(0x4000), 4096);
    // The table behind the PBA, in the page that the PBA begins; then the other way round.
    expect([free(0x2100, 0x2000), free(0x2000, 0x2100)]).toEqual([false, false]);
    expect([free(0x2100, 0x2010), free(0x2010, 0x2800), free(0x2010, 0x3000)]).toEqual([true, true, true]);
  });
  test("on larger host pages, registers behind table and PBA count as well as those before them", () => {
    const free = (size: number, table: number, pba: number): boolean =>
      freesPages(geometry(16, [0, table], [0, pba]), regions(size), 0x10000);
    expect([free(0x20000, 0, 0x800), free(0x20000, 0x10000, 0x11000), free(0x20000, 0xe000, 0xf000)]).toEqual(
      [true, true, true],
    );
    // A page full of both.
    expect(freesPages(geometry(2048, [0, 0], [0, 0x8000]), regions(0x9000), 0x1000)).toBe(false);
    expect(freesPages(geometry(2048, [0, 0], [0, 0x8000]), regions(0x10000), 0x10000)).toBe(true);
  });
  test("nothing is gained where the page could not be mapped without table and PBA either", () => {
    const physical = geometry(32, [0, 0x5200], [0, 0xd600]);
    const free = (pageSize: number, more: Partial<RegionInfo>): boolean =>
      freesPages(
        physical,
        regions(0x10000).map((info) => ({ ...info, ...more })),
        pageSize,
      );
    expect([free(0x1000, {}), free(0x10000, {})]).toEqual([true, true]);
    // A BAR below a page; a BAR that is not mapped; areas that leave such pages out, and that have one of them.
    expect(free(0x10000, { size: 0xf000 })).toBe(false);
    expect(free(0x1000, { mappable: false })).toBe(false);
    const areas = (...starts: number[]): Partial<RegionInfo> => ({
      sparse: starts.map((offset) => ({ offset, size: 0x1000 })),
    });
    expect([free(0x1000, areas(0x4000, 0x6000)), free(0x1000, areas(0x4000, 0xd000))]).toEqual([false, true]);
  });
  test("a PBA that shares a page of another BAR moves, though the table has its page to itself", () => {
    const physical = geometry(8, [0, 0x2000], [2, 0x10]);
    const bars = [bar(0, 0x4000), bar(2, 0x1000)];
    expect(auto(physical, bars, regions(0x4000, 0, 0x1000), 4096)?.guest.pba.region).toBe(0);
    expect(auto(physical, bars, regions(0x4000, 0, 0x800), 4096)).toBeUndefined();
  });
  test("a PBA in the table's own page, behind it, does not grow the BAR", () => {
    expect(
      auto(geometry(16, [0, 0x3000], [0, 0x3800]), [bar(0, 0x4000)], regions(0x4000), 4096),
    ).toBeUndefined();
    expect(auto(geometry(2, [0, 0], [0, 0x800]), [bar(0, 0x1000)], regions(0x1000), 4096)).toBeUndefined();
  });
  test("a page-aligned table moves with a PBA that shares another page", () => {
    expect(auto(geometry(16, [0, 0x2000], [0, 0x3800]), [bar(0, 0x4000)], regions(0x4000), 4096)?.size).toBe(
      0x8000,
    );
  });
  test("defect 28: a 64 KiB BAR with table at 0x5200 and PBA at 0xd600 doubles; both move together", () => {
    const physical = geometry(32, [0, 0x5200], [0, 0xd600]);
    expect(auto(physical, [bar(0, 0x10000)], regions(0x10000), 4096)).toEqual({
      region: 0,
      size: 0x20000,
      guest: {
        vectors: 32,
        table: { region: 0, offset: 0x10000, size: 512 },
        pba: { region: 0, offset: 0x11000, size: 8 },
      },
    });
    // The device's own offsets are another value, and unchanged.
    expect(physical.table.offset).toBe(0x5200);
  });
  test("defect 31: a BAR of 4 GiB or more is not doubled: the table offset register has 32 bits", () => {
    const physical = geometry(32, [0, 0x5200], [0, 0xd600]);
    expect(auto(physical, [bar(0, 2 ** 32)], regions(2 ** 32), 4096)).toBeUndefined();
    expect(auto(physical, [bar(0, 2 ** 36)], regions(2 ** 36), 4096)).toBeUndefined();
    expect(auto(physical, [bar(0, 2 ** 31)], regions(2 ** 31), 4096)?.guest.table.offset).toBe(2 ** 31);
  });
  test("defect 32: a PBA in another BAR, or before the table, moves with the table", () => {
    const bars = [bar(0, 0x4000), bar(2, 0x1000)];
    const other = auto(geometry(8, [0, 0x800], [2, 0x10]), bars, regions(0x4000, 0, 0x1000), 4096);
    expect(other?.guest.pba).toEqual({ region: 0, offset: 0x5000, size: 8 });
    const before = auto(geometry(8, [0, 0x900], [0, 0x800]), bars, regions(0x4000, 0, 0x1000), 4096);
    expect(before?.guest.table.offset).toBe(0x4000);
    expect(before?.guest.pba.offset).toBe(0x5000);
  });
  test("defect 32: 32-bit BARs are relocated too, and every grown size is a power of two", () => {
    const grown = auto(
      geometry(2048, [0, 0x10], [0, 0x8800]),
      [bar(0, 0x1000, "memory32")],
      regions(0x10000),
      4096,
    );
    expect(grown?.size).toBe(0x20000);
  });
  test("nothing is gained where the host cannot map the table's page", () => {
    const info = regions(0x10000).map((region) => ({ ...region, msixMappable: false }));
    expect(auto(geometry(32, [0, 0x5200], [0, 0xd600]), [bar(0, 0x10000)], info, 4096)).toBeUndefined();
  });
  test("any geometry: the grown BAR is a power of two, holds both, keeps the device's half free of them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2048 }),
        fc.nat(0x2000),
        fc.nat(0x2000),
        fc.integer({ min: 4, max: 40 }),
        fc.constantFrom("memory32" as const, "memory64" as const),
        (vectors, table, pba, log, kind) => {
          const size = 2 ** log;
          const physical = geometry(vectors, [0, table * 8], [0, pba * 8]);
          const result = relocate(physical, [bar(0, size, kind)]);
          if (!result) return;
          const { guest } = result;
          expect(Math.log2(result.size) % 1).toBe(0);
          expect(guest.table.offset).toBeGreaterThanOrEqual(size);
          expect(guest.table.offset % 4096).toBe(0);
          expect(guest.pba.offset % 4096).toBe(0);
          expect(guest.table.offset + guest.table.size).toBeLessThanOrEqual(guest.pba.offset);
          expect(guest.pba.offset + guest.pba.size).toBeLessThanOrEqual(Math.min(result.size, 2 ** 32));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("a structure whose register has a reserved BIR", () => {
  const device = (table: number, pba: number): SyntheticDevice => ({
    bars: { 0: { size: 0x4000 } },
    romSize: 0x800,
    msix: { vectors: 2, table: [table, 0x1000], pba: [pba, 0x2000] },
  });
  const told = (guest: Attached): string[] => guest.eventsOf("msix").map(({ message }) => message);

  test.each([6, 7])(
    "the PBA, %d: the event has the register's value, and the model has pending bits of its own",
    (bir) => {
      using guest = attach(device(0, bir));
      expect(told(guest)).toEqual([
        `the MSI-X PBA register holds 0x200${bir}, whose BIR ${bir} is reserved: the pending bits are the model's alone`,
      ]);
      guest.device.configWrite(0x04, 2, memory);
      const { base } = guest.device.describe().bars[0]!;
      const { table, pba } = guest.device.describe().msix!.guest;
      writeVector(guest.device, base! + table.offset, 1, 0x41);
      guest.device.configWrite(at.msix + 2, 2, 0x8000);
      guest.device.mmioWrite(base! + table.offset + 16 + 12, bytesOf(1, 4));
      guest.recorded.raise(IrqIndex.msix, 1);
      expect([pba.region, mmioRead(guest.device, base! + pba.offset, 8)]).toEqual([0, 2]);
    },
  );

  test("the table: the capability is hidden", () => {
    using guest = attach(device(6, 0));
    expect(told(guest)).toEqual([
      "the MSI-X table register holds 0x1006, whose BIR 6 is reserved: the capability is hidden",
    ]);
    expect(guest.device.describe().msix).toBeUndefined();
  });
});
