// machines: intel, virtio, none
// takes: 20 s
// Every device by every way: open, describe, map, interrupt, reset, close; and nothing is left.
import { afterAll, describe, expect, test } from "bun:test";
import { read } from "bun:ffi";
import type { KernelDevice } from "../../../src/device/kernel/kernel-device.ts";
import { physicalGeometry } from "../../../src/device/msix-geometry.ts";
import { IrqIndex, RegionIndex } from "../../../src/device/backend.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { deviceMappings, deviceNames, devices, ownDescriptors, take } from "./support/devices.ts";
import { open, ways } from "./support/apis.ts";

/** What each device has: the survey of the recordings, told by hand. BAR sizes by index, then vectors. */
const shapes = {
  edu: { bars: { 0: 0x100000 }, vectors: { intx: 1, msi: 1, msix: 0 } },
  nvme: { bars: { 0: 0x4000 }, vectors: { intx: 1, msi: 0, msix: 65 } },
  e1000e: { bars: { 0: 0x20000, 1: 0x20000, 2: 0x20, 3: 0x4000 }, vectors: { intx: 1, msi: 1, msix: 5 } },
  igb: { bars: { 0: 0x20000, 1: 0x20000, 2: 0x20, 3: 0x4000 }, vectors: { intx: 1, msi: 1, msix: 10 } },
  "pci-testdev": { bars: {}, vectors: { intx: 0, msi: 0, msix: 0 } },
  "virtio-net": { bars: {}, vectors: { intx: 1, msi: 0, msix: 4 } },
  "virtio-blk": { bars: {}, vectors: { intx: 1, msi: 0, msix: 3 } },
  xhci: { bars: { 0: 0x4000 }, vectors: { intx: 1, msi: 0, msix: 16 } },
  ahci: { bars: {}, vectors: { intx: 1, msi: 1, msix: 0 } },
} as const;

function dword(device: KernelDevice, region: number, offset: number): number {
  const bytes = new Uint8Array(new ArrayBuffer(4));
  device.read(region, offset, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

function setCommand(device: KernelDevice, bits: number): void {
  const bytes = new Uint8Array(new ArrayBuffer(2));
  device.read(RegionIndex.config, 4, bytes);
  bytes[0] = (bytes[0]! & ~7) | bits;
  device.write(RegionIndex.config, 4, bytes);
}

for (const way of ways) {
  describe(way.name, () => {
    const before = { fds: ownDescriptors(), maps: deviceMappings() };
    afterAll(() => {
      expect(ownDescriptors()).toEqual(before.fds);
      expect(deviceMappings()).toEqual(before.maps);
    });

    for (const name of deviceNames) {
      test(`${name}: opened, described, mapped, interrupted, reset, closed`, () => {
        const bdf = take(name);
        const device = open(bdf, way);
        try {
          expect(device.api).toBe(way.api);
          expect(device.explain[0]).toContain(way.api);
          describes(device, name);
          mapsBars(device);
          raises(device, name);
          expect(device.resettable).toBe(true);
          device.reset();
          expect(dword(device, RegionIndex.config, 0)).toBe(idOf(name));
          expect(device.features().lowPowerEntry).toEqual({ get: false, set: true });
        } finally {
          device[Symbol.dispose]();
        }
        expect(() => device.reset()).toThrow(`${bdf} is closed`);
        expect(ownDescriptors()).toEqual(before.fds);
        expect(deviceMappings()).toEqual(before.maps);
      });
    }
  });
}

const idOf = (name: keyof typeof devices): number => {
  const [vendor, id] = devices[name].split(":").map((part) => parseInt(part, 16));
  return ((id! << 16) | vendor!) >>> 0;
};

function describes(device: KernelDevice, name: keyof typeof shapes): void {
  expect(device.info.isPci).toBe(true);
  expect(dword(device, RegionIndex.config, 0)).toBe(idOf(name));
  expect([256, 4096]).toContain(device.regions[RegionIndex.config]!.size);
  for (const [index, size] of Object.entries(shapes[name].bars))
    expect([index, device.regions[Number(index)]!.size]).toEqual([index, size]);
  const { intx, msi, msix } = shapes[name].vectors;
  expect([IrqIndex.intx, IrqIndex.msi, IrqIndex.msix].map((index) => device.irqs[index]!.count)).toEqual([
    intx,
    msi,
    msix,
  ]);
  expect(device.irqs[IrqIndex.request]!.count).toBe(1);
}

/** Maps every area that can be mapped, and finds there what `read` finds. */
function mapsBars(device: KernelDevice): void {
  setCommand(device, 2);
  const config = new Uint8Array(new ArrayBuffer(device.regions[RegionIndex.config]!.size));
  device.read(RegionIndex.config, 0, config);
  const msix = layoutOf(config).capabilities.find(({ id, extended }) => id === 0x11 && !extended);
  const table = msix && physicalGeometry(config, msix.offset)?.table;
  let mapped = 0;
  for (const region of device.regions.slice(0, 6)) {
    if (region.mappable) {
      using mapping = device.map(region.index, { offset: 0, size: region.size });
      expect(mapping.size).toBe(region.size);
      expect(mapping.hva % Math.min(region.size, 2 ** 30)).toBe(0);
      mapped++;
      // The dword at 8 is a version, a constant or 0 in each of these devices. `read` keeps the MSI-X table to the kernel.
      const at = table?.region === region.index && table.offset === 0 ? table.size : 8;
      const there = read.u32(mapping.hva as Parameters<typeof read.u32>[0], at);
      expect(there).toBe(dword(device, region.index, at));
    } else if (region.size > 0)
      expect(() => device.map(region.index, { offset: 0, size: 4096 })).toThrow(
        expect.objectContaining({ code: "EINVAL" }),
      );
  }
  expect(mapped).toBe(device.regions.slice(0, 6).filter(({ mappable }) => mappable).length);
  setCommand(device, 0);
}

/** Every interrupt that the device has is enabled and raised, and arrives where it should. */
function raises(device: KernelDevice, name: keyof typeof shapes): void {
  const results = device.selfTest(80);
  expect(results.filter(({ problems }) => problems.length > 0)).toEqual([]);
  const { intx, msi, msix } = shapes[name].vectors;
  const tried = Object.fromEntries(results.map(({ name: irq, tried: count }) => [irq, count]));
  expect([tried.INTX ?? 0, tried.MSI ?? 0, tried.MSIX ?? 0, tried.REQ]).toEqual([intx, msi, msix, 1]);
}
