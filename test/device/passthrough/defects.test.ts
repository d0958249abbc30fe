// Rows of docs/defects.md that no other file here proves.
import { describe, expect, test } from "bun:test";
import { configImageOf } from "../../../src/device/pci/config-image.ts";
import { planAttach } from "../../../src/device/passthrough/attach-plan.ts";
import { ExternalDma } from "../../../src/device/dma/external-dma.ts";
import type { AttachOptions } from "../../../src/device/passthrough/options.ts";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { walkExtendedCapabilities } from "../../../src/regs/index.ts";
import { attach, bytesOf, memory, mmioRead, writeVector } from "../../support/attached.ts";
import { at, syntheticImage } from "../../support/synthetic-image.ts";

const noRam = { hostAddress: () => undefined };

describe("config space", () => {
  // The plan, not an attached device: a recorded one leaves some of them out by itself, as vfio-pci does.
  test("defect 6: ATS, PRI and PASID are hidden, and can be shown", () => {
    const image = syntheticImage({ pcie: true, extended: [0x01, 0x0f, 0x13, 0x1b, 0x03] });
    using backend = new RecordedDevice(image);
    const shown = (options: AttachOptions): number[] => {
      const context = {
        backend,
        platform: { pageSize: 4096 },
        options,
        report: () => {},
        vectors: { msi: 1, msix: 1 },
      };
      const { tables } = planAttach(context, configImageOf(image.config));
      return walkExtendedCapabilities(tables.shadow).found.map(({ id }) => id);
    };
    expect(shown({})).toEqual([0x01, 0x03]);
    expect(shown({ expose: [0x0f, 0x13, 0x1b] })).toEqual([0x01, 0x0f, 0x13, 0x1b, 0x03]);
  });

  test("defect 9: the GPUDirect clique and the hidden capabilities come back with a restore", () => {
    const device = { vendorId: 0x10de, pm: true, pcie: true, extended: [0x01, 0x10] };
    using it = attach(device, { attach: { gpuDirectClique: 5 } });
    const seen = (from: typeof it): number[] =>
      [0xd4, 0xd8, 0x100, 0x140].map((offset) => from.device.configRead(offset, 4));
    expect(seen(it)[1]).toBe((5 << 19) | 0x5032);
    using back = attach(device, { snapshot: it.device.snapshot() });
    expect(seen(back)).toEqual(seen(it));
  });
});

describe("BARs", () => {
  test("defect 25: what a virtual IOMMU may name moves with the BAR", () => {
    using it = attach({ bars: { 0: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, memory);
    const before = it.device.configRead(0x10, 4);
    const dma = new ExternalDma(it.platform.dma!, noRam, [it.device]);
    const request = { iova: 0x10000, size: 0x1000, readable: true, writable: true };
    it.device.configWrite(0x10, 4, 0xd0000000);
    expect(() => dma.map({ ...request, gpa: before })).toThrow("not one piece");
    dma.map({ ...request, gpa: 0xd0000000 });
    expect(dma.mappings[0]?.hva).toBe(it.device.describe().bars[0]!.mapped[0]!.hva);
    expect(dma.forget(it.device)).toBe(0x1000);
  });

  test("defect 71: while one BAR moves, the others stay trapped", () => {
    using it = attach({ bars: { 0: { size: 0x1000 }, 1: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, memory);
    it.platform.clearRecord();
    it.device.configWrite(0x10, 4, 0xd0000000);
    const moved = it.platform.actionsOf("bus-remove", "bus-insert");
    expect(moved.map(({ kind, region }) => [kind, region])).toEqual([
      ["bus-remove", 0],
      ["bus-insert", 0],
    ]);
  });
});

describe("interrupts", () => {
  test("defect 40: routes of MSI and of MSI-X carry the device's requester ID", () => {
    const device = {
      bars: { 0: { size: 0x1000 } },
      msi: { log2: 0 },
      msix: { vectors: 1, table: [0, 0], pba: [0, 0x800] } as const,
    };
    using it = attach(device, { attach: { requesterId: 0x0123 } });
    const requesters = (): number[] => it.platform.state().routes.map(({ message }) => message.requesterId);
    it.device.configWrite(at.msi + 4, 4, 0xfee00000);
    it.device.configWrite(at.msi + 2, 2, 1);
    expect(requesters()).toEqual([0x0123]);
    it.device.configWrite(at.msi + 2, 2, 0);
    it.device.configWrite(0x04, 2, memory);
    writeVector(it.device, it.device.configRead(0x10, 4), 0, 0x41);
    it.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(requesters()).toEqual([0x0123]);
  });

  test("defect 49: an open device's masked vectors take no route, and a closed one's are all given back", () => {
    using it = attach({
      bars: { 0: { size: 0x10000 } },
      msix: { vectors: 2048, table: [0, 0], pba: [0, 0x8000] },
    });
    it.device.configWrite(0x04, 2, memory);
    writeVector(it.device, it.device.configRead(0x10, 4), 2047, 0x41);
    it.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(it.platform.state().routes.map(({ vector }) => vector)).toEqual([2047]);
    it.device[Symbol.dispose]();
    expect(it.platform.state().routes).toEqual([]);
  });
});

describe("data path", () => {
  test("defect 52: a BAR read that fails is all ones, whatever the buffer held", () => {
    using it = attach({ bars: { 0: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, memory);
    const base = it.device.configRead(0x10, 4);
    it.backend.fails = ({ kind }) => kind === "read" || kind === "write";
    const data = bytesOf(0x12345678, 4);
    expect(it.device.mmioRead(base, data)).toBe(true);
    expect(data).toEqual(bytesOf(0xffffffff, 4));
    expect(it.device.mmioWrite(base, bytesOf(1, 4))).toBe(true);
    expect(it.eventsOf("access-failed").map(({ message }) => message)).toEqual([
      "BAR0 read of 4 at 0x0: all ones",
      "BAR0 write of 4 at 0x0: dropped",
    ]);
    const outside = bytesOf(0x12345678, 4);
    expect(it.device.mmioRead(base + 0x100000, outside)).toBe(false);
    expect(outside).toEqual(bytesOf(0xffffffff, 4));
    it.backend.fails = () => false;
  });

  test("defect 53: a trapped access is one access of the device, and nothing else", () => {
    using it = attach({ bars: { 0: { size: 0x1000, mappable: false } } });
    it.device.configWrite(0x04, 2, memory);
    const base = it.device.configRead(0x10, 4);
    const calls = it.backend.calls.length;
    it.platform.clearRecord();
    it.device.mmioWrite(base + 8, bytesOf(0x1234, 4));
    expect(mmioRead(it.device, base + 8, 4)).toBe(0x1234);
    expect(it.backend.calls.slice(calls)).toEqual([
      { kind: "write", region: 0, offset: 8, size: 4 },
      { kind: "read", region: 0, offset: 8, size: 4 },
    ]);
    expect(it.platform.actions).toEqual([]);
  });
});

describe("the seam", () => {
  test("defect 65: a region that the device does not have shifts no other", () => {
    const image = syntheticImage({ bars: { 0: { size: 0x1000 }, 2: { size: 0x2000 } }, romSize: 0x800 });
    const some = { ...image, regions: image.regions.filter(({ index }) => index !== 0) };
    using it = attach({ ...some, irqs: image.irqs.filter(({ index }) => index !== 1) });
    expect(it.device.describe().bars.map(({ name, size }) => [name, size])).toEqual([
      ["BAR2", 0x2000],
      ["ROM", 0x800],
    ]);
    expect(it.device.configRead(0x00, 4)).toBe(0x56781234);
    expect(it.device.describe().interrupts).toMatchObject({ mode: "INTx", msixVectors: 0 });
  });
});
