// Devices of a guest that are taken away while something refuses to let go of them.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readImage } from "bun-vfio/image";
import { MemoryPlatform, RecordedDevice, VfioError } from "bun-vfio";
import { TrapBus, type VirtualMachine } from "bun-vfio/kvm";
import type { DeviceSource, HostDevice } from "../../../examples/vmm/devices/host-devices.ts";
import { Hotplug } from "../../../examples/vmm/devices/hotplug.ts";
import { PassedDevices, type Surroundings } from "../../../examples/vmm/devices/passed-devices.ts";
import { PciBus } from "../../../examples/vmm/devices/pci-bus.ts";
import { memory, ports } from "../../../examples/vmm/layout.ts";
import { WatchedBackend } from "../../support/attached.ts";

const image = readImage(readFileSync(join(import.meta.dir, "../../../images/nvme.json"), "utf8"));
const bdf = "0000:02:00.0";
const bar = 0xd000_0000;
/** The second page of the BAR has the MSI-X table, which is trapped. */
const trapped = bar + 0x2000;

/** As a device of the kernel: closing it unmaps what is mapped of it. */
class Opened extends WatchedBackend implements HostDevice {
  dma: HostDevice["dma"];
  readonly fd = 3;
  isClosed = false;
  on(): void {}
  override [Symbol.dispose](): void {
    this.isClosed = true;
    super[Symbol.dispose]();
  }
}

/** A machine in memory, with one device in slot 1 whose memory the guest reaches. */
function machine() {
  const platform = new MemoryPlatform();
  const said: string[] = [];
  const opened: Opened[] = [];
  const taken = { memory: 0, known: 0, source: 1 };
  /** What refuses to be given back. */
  const refuses = new Set<keyof typeof taken>();
  const counted = (what: keyof typeof taken): Disposable => {
    taken[what]++;
    return {
      [Symbol.dispose]: () => {
        if (refuses.has(what)) throw new VfioError(`${what} is kept`, { code: "EINVAL" });
        taken[what]--;
      },
    };
  };
  const source: DeviceSource = {
    open: () => {
      const device = new Opened(new RecordedDevice(image));
      device.dma = platform.dma as unknown as HostDevice["dma"];
      device.fails = () => broken.device;
      device.usersOf = (hva, size) => platform.usersOf(hva, size);
      opened.push(device);
      return device;
    },
    [Symbol.dispose]: () => void taken.source--,
  };
  const broken = { device: false };
  const bus = new TrapBus();
  const pci = new PciBus(bus, {});
  const kvm = {
    slots: platform.memory,
    interrupts: {
      createMsiGroup: (vectors: number) => platform.interrupts.createMsiGroup(vectors),
      createLine: (gsi: number) => platform.interrupts.createIntx((gsi % 4) + 1),
    },
    vfio: { add: () => counted("known") },
  };
  const around = {
    ...{ machine: kvm as unknown as VirtualMachine, bus, pci },
    ram: { mapFor: () => counted("memory") } as unknown as Surroundings["ram"],
    say: (message: string) => void said.push(message),
    trace: undefined,
    flight: undefined,
    onRequest: () => {},
  };
  const devices = new PassedDevices(around, "group", source);
  const insert = (): void => {
    devices.insert(1, bdf);
    const { device } = devices.list.get(1)!;
    device.configWrite(0x10, 4, bar);
    device.configWrite(0x14, 4, 0);
    device.configWrite(0x04, 2, 0x0006);
  };
  insert();
  expect(platform.state().slots.length).toBeGreaterThan(0);
  return { platform, said, opened, taken, refuses, broken, bus, devices, insert };
}

/** What the guest finds in the config space of slot 1: its vendor ID. */
function vendor(bus: TrapBus): number {
  const data = new Uint8Array(2);
  bus.mmioRead(memory.ecam.base + (1 << 15), data);
  return data[0]! + 256 * data[1]!;
}

test("a device that leaves gives everything back, once", () => {
  const { platform, opened, taken, bus, devices, said } = machine();
  expect(vendor(bus)).toBe(0x1b36);
  expect(devices.remove(1)).toBe(bdf);
  expect(devices.remove(1)).toBeUndefined();
  expect([vendor(bus), platform.state().slots, opened[0]!.isClosed]).toEqual([0xffff, [], true]);
  expect(taken).toEqual({ memory: 0, known: 0, source: 1 });
  devices[Symbol.dispose]();
  expect([taken.source, said]).toEqual([0, []]);
});

describe("while KVM keeps a slot of a device that leaves", () => {
  test("its memory stays mapped under the slot and the device open; both go once KVM lets go", () => {
    const { platform, opened, taken, devices, said } = machine();
    const stop = platform.failOn(({ kind }) => kind === "slot-remove");
    expect(devices.remove(1)).toBe(bdf);
    const [device] = opened;
    expect(platform.state().slots.length).toBeGreaterThan(0);
    expect([device!.unmappedInUse, device!.isClosed]).toEqual([[], false]);
    expect(taken).toEqual({ memory: 1, known: 1, source: 1 });
    expect(said.some((line) => line.startsWith(`${bdf}: teardown: `))).toBe(true);
    // The machine ends, and KVM still does not: the address space stays with the device.
    devices[Symbol.dispose]();
    expect([device!.unmappedInUse, device!.isClosed, taken.source]).toEqual([[], false, 1]);
    stop();
    devices[Symbol.dispose]();
    expect([platform.state().slots, device!.unmappedInUse, device!.isClosed]).toEqual([[], [], true]);
    expect(taken).toEqual({ memory: 0, known: 0, source: 0 });
  });

  test("the guest's accesses to what is left find nobody", () => {
    const { platform, bus, devices } = machine();
    platform.failOn(({ kind }) => kind === "slot-remove");
    devices.remove(1);
    const data = new Uint8Array(4);
    bus.mmioRead(trapped, data);
    expect([...data]).toEqual([0xff, 0xff, 0xff, 0xff]);
    bus.mmioWrite(trapped, data);
    expect(vendor(bus)).toBe(0xffff);
  });

  test("another device can have the guest's slot, and its coming takes the first away", () => {
    const { platform, opened, devices, insert } = machine();
    const stop = platform.failOn(({ kind }) => kind === "slot-remove");
    devices.remove(1);
    stop();
    insert();
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  });
});

test.each(["memory", "known"] as const)(
  "an eject that fails in the host (%s) is said once; slot empty",
  (what) => {
    const { opened, taken, refuses, bus, devices, said, insert } = machine();
    refuses.add(what);
    const hotplug = new Hotplug(
      () => {},
      (slot) => void devices.remove(slot),
    );
    hotplug.ioWrite(ports.hotplug.base + 4, Uint8Array.of(2, 0, 0, 0));
    expect([devices.list.size, vendor(bus), opened[0]!.isClosed]).toEqual([0, 0xffff, true]);
    expect(said).toEqual([`${bdf} is not given back to the host yet, it is tried again: ${what} is kept`]);
    expect(taken).toEqual({ memory: 0, known: 0, source: 1, [what]: 1 });
    insert();
    devices.remove(1);
    // Two devices that could not be given back, each told of once.
    expect(said).toHaveLength(2);
    refuses.clear();
    devices[Symbol.dispose]();
    expect(taken).toEqual({ memory: 0, known: 0, source: 0 });
  },
);

test("a device that cannot be attached, or has no slot to go to, leaves nothing", () => {
  const { broken, opened, taken, devices } = machine();
  expect(() => devices.insert(1, bdf)).toThrow("slot 1 is not there, or in use");
  broken.device = true;
  expect(() => devices.insert(2, bdf)).toThrow(expect.objectContaining({ code: "EIO" }));
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([false, true, true]);
  expect([taken, [...devices.list.keys()]]).toEqual([{ memory: 1, known: 1, source: 1 }, [1]]);
});
