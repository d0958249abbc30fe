import { describe, expect, spyOn, test } from "bun:test";
import { EventCounts } from "../../../src/device/seam/event-counts.ts";
import { attach, type Attached } from "../../support/attached.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

const device: SyntheticDevice = { bars: { 0: { size: 0x4000 } }, pm: true, pcie: true };
const badAccess = (guest: Attached): number => guest.device.configRead(2, 4);

describe("a flood of events", () => {
  test("of each kind the first hundred are told, then each whose number is a power of two", () => {
    const counts = new EventCounts();
    const told = Array.from({ length: 5000 }, () => counts.next("bad-access")).filter(Boolean);
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(told).toEqual([...hundred, 128, 256, 512, 1024, 2048, 4096]);
    expect(counts.next("msix")).toBe(1);
  });

  test("that a guest causes reaches the VMM thinned, each with its number, and hides no other kind", () => {
    using guest = attach(device);
    for (let i = 0; i < 1000; i++) expect(badAccess(guest)).toBe(0xffffffff);
    expect(guest.events.map(({ count }) => count).slice(98)).toEqual([99, 100, 128, 256, 512]);
    guest.backend.fails = (call) => call.kind === "read" && call.size < 4;
    guest.device.configRead(0x06, 2);
    expect(guest.events.at(-1)).toMatchObject({ kind: "access-failed", count: 1 });
  });
});

describe("a listener that throws", () => {
  test("is an uncaught error of its own, and nothing of the guest's", () => {
    const later: (() => void)[] = [];
    using queue = spyOn(globalThis, "queueMicrotask").mockImplementation((task) => void later.push(task));
    const broken = new Error("the listener is broken");
    let heard = 0;
    const onEvent = (): void => {
      heard++;
      throw broken;
    };
    using guest = attach(device, { onEvent });
    expect(badAccess(guest)).toBe(0xffffffff);
    guest.device.configWrite(2, 4, 0);
    guest.backend.fails = (call) => call.kind !== "close" && !(call.kind === "read" && call.size === 4);
    expect(guest.device.configRead(0x06, 2)).toBe(0xffff);
    guest.device.configWrite(at.pcie + 8, 2, 0x8000);
    guest.device[Symbol.dispose]();
    expect(heard).toBeGreaterThan(4);
    expect(later).toHaveLength(heard);
    expect(queue).toHaveBeenCalledTimes(heard);
    for (const task of later) expect(task).toThrow(broken);
  });
});

describe("config space of 256 bytes", () => {
  test("a guest that looks for more finds nothing, which is no event", () => {
    using guest = attach({ ...device, configSize: 256 });
    for (const offset of [0x100, 0x104, 0xffc]) {
      expect(guest.device.configRead(offset, 4)).toBe(0xffffffff);
      guest.device.configWrite(offset, 4, 0);
    }
    expect(guest.device.configRead(0x103, 1)).toBe(0xff);
    expect(guest.events).toEqual([]);
  });

  test("an access that no PCI host makes is one there too", () => {
    using guest = attach({ ...device, configSize: 256 });
    for (const [offset, width] of [
      [0x102, 4],
      [0x100, 3],
      [0xfe, 4],
      [0x1000, 4],
      [0x100, 8],
    ] as const)
      guest.device.configRead(offset, width);
    expect(guest.eventsOf("bad-access")).toHaveLength(5);
  });
});

test("a write of 8 bytes is the guest's, so it is dropped whatever number stands for it", () => {
  using guest = attach(device);
  for (const value of [2 ** 40, 2n ** 63n]) guest.device.configWrite(0x10, 8, value as number);
  expect(guest.eventsOf("bad-access")).toHaveLength(2);
});
