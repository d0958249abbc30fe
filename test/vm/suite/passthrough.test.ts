// machines: intel (virtio, none, amd, arm) [intel-old]
// takes: 25 s
// The passthrough model over real devices, with a virtual machine in memory: what a guest does reaches the device, and the
// device's interrupts reach the guest.
import { afterAll, describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { CountedBackend } from "../../../src/device/seam/counted-backend.ts";
import type { DeviceEvent } from "../../../src/device/seam/events.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { bytesOf, memory, master, mmioRead, writeVector } from "../../support/attached.ts";
import { deviceMappings, deviceNames, ownDescriptors, take, type DeviceName } from "./support/devices.ts";
import { open, ways, type Way } from "./support/apis.ts";
import { quieten } from "./support/edu.ts";
import { iommu } from "./support/rules.ts";

interface Guest extends Disposable {
  readonly kernel: KernelDevice;
  readonly counted: CountedBackend;
  readonly platform: MemoryPlatform;
  readonly device: VfioPciDevice;
  readonly events: DeviceEvent[];
}

function attach(name: DeviceName, way: Way): Guest {
  const kernel = open(take(name), way);
  if (name === "edu") quieten(kernel);
  const counted = new CountedBackend(kernel);
  const platform = new MemoryPlatform();
  const events: DeviceEvent[] = [];
  const device = VfioPciDevice.attach(counted, platform, { onEvent: (event) => void events.push(event) });
  return {
    kernel,
    counted,
    platform,
    device,
    events,
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      expect(platform.leaks()).toEqual([]);
      platform[Symbol.dispose]();
      expect(() => kernel.fd).toThrow("is closed");
    },
  };
}

/** Where the guest has a BAR; memory decoding must be on. */
function baseOf({ device }: Guest, region: number): number {
  const base = device.describe().bars.find((bar) => bar.region === region)?.base;
  if (base === undefined) throw new Error(`BAR ${region} decodes nothing`);
  return base;
}

/** Where a capability is. */
function capability({ device }: Guest, id: number): number {
  for (let at = device.configRead(0x34, 1), n = 0; at !== 0 && n < 48; at = device.configRead(at + 1, 1), n++)
    if (device.configRead(at, 1) === id) return at;
  throw new Error(`no capability ${id}`);
}

const before = { fds: ownDescriptors(), maps: deviceMappings() };
afterAll(() => {
  expect(ownDescriptors()).toEqual(before.fds);
  expect(deviceMappings()).toEqual(before.maps);
});

// What differs on virtio is its IOMMU, behind a container's interface and an iommufd's: once each.
const apis = iommu === "virtio" ? ways.filter(({ name }) => name === "type1v2" || name === "iommufd") : ways;

for (const way of apis)
  describe(way.name, () => {
    for (const name of deviceNames)
      test(`${name}: attached and detached, its identity seen, its BARs moved`, () => {
        using guest = attach(name, way);
        const { device } = guest;
        expect(guest.events.filter(({ kind }) => kind !== "area-trapped")).toEqual([]);
        device.configWrite(4, 2, memory | master);
        const bar = device.describe().bars.find(({ kind, region }) => kind !== "io" && region < 6);
        expect(bar).toBeDefined();
        if (bar) {
          const register = 0x10 + 4 * bar.region;
          const base = baseOf(guest, bar.region);
          const seen = mmioRead(device, base, 4);
          expect(seen).toBeDefined();
          device.configWrite(register, 4, device.configRead(register, 4) - 0x1000_0000);
          expect(mmioRead(device, base, 4)).toBeUndefined();
          expect(mmioRead(device, base - 0x1000_0000, 4)).toBe(seen!);
        }
        device.configWrite(4, 2, 0);
        device.reset();
      });

    test("edu: the guest's accesses reach the device; MSI arrives with the guest's message", () => {
      using guest = attach("edu", way);
      const { device, platform } = guest;
      device.configWrite(4, 2, memory | master);
      const bar = baseOf(guest, 0);
      expect(mmioRead(device, bar, 4)).toBe(0x010000ed);
      device.mmioWrite(bar + 4, bytesOf(0x12345678, 4));
      expect(mmioRead(device, bar + 4, 4)).toBe(0xedcba987);
      const msi = capability(guest, 5);
      device.configWrite(msi + 4, 4, 0xfee01000);
      device.configWrite(msi + 8, 4, 0);
      device.configWrite(msi + 12, 2, 0x4055);
      device.configWrite(msi + 2, 2, 1);
      device.mmioWrite(bar + 0x60, bytesOf(1, 4));
      // The interrupt comes through the kernel: a moment later.
      let arrived = platform.deliver();
      for (let i = 0; i < 200 && arrived.length === 0; i++) {
        Bun.sleepSync(5);
        arrived = platform.deliver();
      }
      expect(arrived).toMatchObject([{ vector: 0, message: { addressLow: 0xfee01000, data: 0x4055 } }]);
    });

    test("nvme: MSI-X is enabled, and each vector arrives as itself; masked ones wait", () => {
      using guest = attach("nvme", way);
      const { device, platform, kernel, counted } = guest;
      device.configWrite(4, 2, memory);
      const { guest: geometry } = device.describe().msix!;
      const table = baseOf(guest, 0) + geometry.table.offset;
      const vectors = [0, 1, 5, 64];
      for (const vector of vectors) writeVector(device, table, vector, 0x4000 + vector);
      const requests = counted.counts.setIrqs;
      device.configWrite(capability(guest, 0x11) + 2, 2, 0x8000);
      // INTx off, MSI-X on with 0 and 1, and 5 and 64 by themselves: nothing between is armed. A kernel that adds no vectors is
      // asked once for all (vfio-pci before Linux 6.5).
      expect(counted.counts.setIrqs - requests).toBe(kernel.irqs[IrqIndex.msix]!.noResize ? 2 : 4);
      const raise = (vector: number): void =>
        kernel.setIrqs({
          index: IrqIndex.msix,
          action: "trigger",
          start: vector,
          data: { kind: "bool", values: [true] },
        });
      for (const vector of vectors) {
        raise(vector);
        expect(platform.deliver()).toMatchObject([{ vector, message: { data: 0x4000 + vector } }]);
      }
      // One more comes into use while the others are: a vector is added, none is lost.
      writeVector(device, table, 30, 0x4030);
      raise(30);
      expect(platform.deliver()).toMatchObject([{ vector: 30 }]);
      device.mmioWrite(table + 16 * 5 + 12, bytesOf(1, 4));
      raise(5);
      expect(platform.deliver()).toEqual([]);
      device.mmioWrite(table + 16 * 5 + 12, bytesOf(0, 4));
      expect(platform.deliver()).toMatchObject([{ vector: 5, message: { data: 0x4005 } }]);
    });

    test("e1000e raises each of its MSI-X vectors by itself: it arrives there, with that vector's message", () => {
      using guest = attach("e1000e", way);
      const { device, platform } = guest;
      device.configWrite(4, 2, memory | master);
      const { table } = device.describe().msix!.guest;
      const tableBase = baseOf(guest, table.region) + table.offset;
      const registers = baseOf(guest, 0);
      const vectors = [0, 1, 2, 3, 4];
      for (const vector of vectors) writeVector(device, tableBase, vector, 0x4100 + vector);
      device.configWrite(capability(guest, 0x11) + 2, 2, 0x8000);
      // 82574 data sheet, 10.2.4: IVAR gives causes 20 to 24 of ICR a vector each, valid by the top bit of its nibble.
      const { ivar, unmask, raise, quiet, firstCause } = {
        ivar: 0xe4,
        unmask: 0xd0,
        raise: 0xc8,
        quiet: 0xc0,
        firstCause: 20,
      };
      device.mmioWrite(registers + ivar, bytesOf(0xcba98, 4));
      device.mmioWrite(registers + unmask, bytesOf(0x1f << firstCause, 4));
      for (const vector of vectors.toReversed()) {
        device.mmioWrite(registers + raise, bytesOf(1 << (firstCause + vector), 4));
        // QEMU's e1000e sends a vector again now and then (its throttling timers): one that was raised before may come along.
        const arrived = [...platform.deliver()];
        for (let i = 0; i < 200 && !arrived.some((one) => one.vector === vector); i++) {
          Bun.sleepSync(5);
          arrived.push(...platform.deliver());
        }
        expect(arrived.map((one) => one.vector)).toContain(vector);
        for (const one of arrived) {
          expect(one.message.data).toBe(0x4100 + one.vector);
          expect(one.vector).toBeGreaterThanOrEqual(vector);
        }
        device.mmioWrite(registers + quiet, bytesOf(1 << (firstCause + vector), 4));
      }
    });
  });

test("edu: INTx is asserted again until the guest has quieted the device, with no request an interrupt", () => {
  using guest = attach("edu", ways[0]!);
  const { device, platform, counted } = guest;
  device.configWrite(4, 2, memory);
  const bar = baseOf(guest, 0);
  const asserted = (): boolean => {
    for (let i = 0; i < 40; i++) {
      platform.deliver();
      if (platform.state().intx[0]!.asserted) return true;
      Bun.sleepSync(5);
    }
    return false;
  };
  device.mmioWrite(bar + 0x60, bytesOf(1, 4));
  const requests = counted.counts.setIrqs;
  expect(asserted()).toBe(true);
  platform.endOfInterrupt(0);
  expect(asserted()).toBe(true);
  device.mmioWrite(bar + 0x64, bytesOf(1, 4));
  platform.endOfInterrupt(0);
  expect(asserted()).toBe(false);
  expect(counted.counts.setIrqs).toBe(requests);
});
