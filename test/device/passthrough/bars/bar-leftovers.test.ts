// What the platform does not take back is not forgotten: tried again, in nobody's way, and never without memory under it.
import { describe, expect, test } from "bun:test";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import { BarMapping } from "../../../../src/device/passthrough/bars/bar-mapping.ts";
import type { DeviceEvent } from "../../../../src/device/seam/events.ts";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { attach, memory, WatchedBackend, type Attached } from "../../../support/attached.ts";
import { syntheticImage, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const twoBars: SyntheticDevice = { bars: { 0: { size: 0x1000 }, 1: { size: 0x1000 } } };
const oneBar: SyntheticDevice = { bars: { 0: { size: 0x1000 } } };
const removals = ["dma-unmap", "slot-remove", "bus-remove", "address-free"] as const;
const at = 0xd0000000;

/** Moves BAR0 to `at` with decoding on, and says where it was. */
function moved(it: Attached): number {
  it.device.configWrite(0x04, 2, memory);
  const home = it.device.configRead(0x10, 4);
  it.device.configWrite(0x10, 4, at);
  return home;
}
/** Addresses by what the platform holds there. */
function held({ platform }: Attached): Record<string, number[]> {
  const { slots, dma, trapped, addresses } = platform.state();
  return {
    slots: slots.map(({ gpa }) => gpa),
    dma: dma.map(({ iova }) => iova),
    trapped: trapped.map(({ base }) => base),
    addresses: addresses.mmio32.map(({ base }) => base),
  };
}
const everywhere = (...places: number[]): Record<string, number[]> => {
  const sorted = places.toSorted((a, b) => a - b);
  return { slots: sorted, dma: sorted, trapped: sorted, addresses: sorted };
};
const sorted = (lists: Record<string, number[]>): Record<string, number[]> =>
  Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.toSorted((a, b) => a - b)]));

describe("what a platform does not take back", () => {
  test.each(removals)("%s: is said once, tried at each sync, and gone when the platform lets it", (kind) => {
    using it = attach(oneBar);
    const mend = it.platform.failOn((action) => action.kind === kind);
    const home = moved(it);
    it.device.configWrite(0x3c, 1, 5);
    it.device.configWrite(0x04, 2, memory);
    it.device.configWrite(0x04, 2, memory);
    expect(it.eventsOf("teardown")).toHaveLength(1);
    expect(it.device.describe().bars[0]!.base).toBe(at);
    const now = sorted(held(it));
    // What lies above in the order of removal has gone; the address stays with whatever is left there.
    expect(now["addresses"]).toContain(home);
    expect(now["slots"]!.includes(home)).toBe(kind === "slot-remove");
    expect(now["dma"]!.includes(home)).toBe(kind === "dma-unmap");
    expect(now["trapped"]!.includes(home)).toBe(kind !== "address-free");
    mend();
    it.device.configWrite(0x04, 2, memory);
    expect(sorted(held(it))).toEqual(everywhere(at));
  });

  test.each(removals)(
    "%s: at detach is reported, host memory stays under what is left, and the next dispose takes all",
    (kind) => {
      const it = attach(oneBar);
      it.device.configWrite(0x04, 2, memory);
      const [slot] = it.platform.state().slots;
      const mend = it.platform.failOn((action) => action.kind === kind);
      expect([it.device.closed, it.device.released]).toEqual([false, false]);
      it.device[Symbol.dispose]();
      expect(it.backend.unmappedInUse).toEqual([]);
      expect(it.eventsOf("teardown").length).toBeGreaterThan(0);
      const users = it.platform.usersOf(slot!.hva, slot!.size);
      expect(users).toHaveLength(kind === "slot-remove" || kind === "dma-unmap" ? 1 : 0);
      const closed = (): number => it.backend.calls.filter((call) => call.kind === "close").length;
      // A backend takes its mappings along when it is closed.
      expect(closed()).toBe(users.length > 0 ? 0 : 1);
      expect([it.device.closed, it.device.released]).toEqual([true, users.length === 0]);
      const messages = it.eventsOf("teardown").map(({ message }) => message);
      expect(messages.some((message) => message.includes("stays mapped"))).toBe(users.length > 0);
      expect(messages.some((message) => message.includes("the device stays open"))).toBe(users.length > 0);
      expect(() => it.device.describe()).toThrow("is closed");
      mend();
      for (let again = 0; again < 2; again++) it.device[Symbol.dispose]();
      expect([it.platform.leaks(), it.backend.unmappedInUse, closed()]).toEqual([[], [], 1]);
      it.platform[Symbol.dispose]();
    },
  );

  test("a slot that failed to go at a move, and went at detach, loses its host memory after it", () => {
    using it = attach(oneBar);
    it.platform.failNext("slot-remove");
    moved(it);
    expect(it.platform.state().slots).toHaveLength(2);
  });

  test.each(removals)("%s: a BAR that comes back finds what it left, and takes it as its own", (kind) => {
    using it = attach(oneBar);
    const mend = it.platform.failOn((action) => action.kind === kind);
    it.device.configWrite(0x04, 2, memory);
    const before = it.platform.state();
    it.device.configWrite(0x04, 2, 0);
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state()).toEqual(before);
    expect(it.device.describe().bars[0]!.mapped).toMatchObject(
      [{ ...before.slots[0], peer: true }].map(({ slot, gpa, hva, peer }) => ({ slot, gpa, hva, peer })),
    );
    expect(it.eventsOf("area-trapped")).toEqual([]);
    mend();
    it.device.configWrite(0x04, 2, 0);
    expect(held(it)).toMatchObject({ slots: [], dma: [], trapped: [] });
  });

  test.each(["dma-unmap", "slot-remove", "bus-remove"] as const)(
    "%s: no other BAR comes to be where something is left, until it is gone",
    (kind) => {
      using it = attach(twoBars);
      const mend = it.platform.failOn((action) => action.kind === kind);
      const home = moved(it);
      it.device.configWrite(0x14, 4, home);
      expect(it.device.describe().bars.map(({ base }) => base)).toEqual([at, undefined]);
      expect(it.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
        `BAR1 cannot be at 0x${home.toString(16)}: what BAR0 had there is not taken back yet`,
      ]);
      mend();
      it.device.configWrite(0x04, 2, memory);
      expect(sorted(held(it))).toEqual(everywhere(at, home));
    },
  );

  test("a guest that moves a BAR again and again does not pile up what is left", () => {
    using it = attach(oneBar);
    it.device.configWrite(0x04, 2, memory);
    const mend = it.platform.failOn(({ kind }) => (removals as readonly string[]).includes(kind));
    for (let i = 0; i < 100; i++) it.device.configWrite(0x10, 4, at + 0x1000 * i);
    const counts = Object.values(held(it)).map(({ length }) => length);
    for (const count of counts) expect(count).toBeLessThan(10);
    expect(it.device.describe().bars[0]!.base).toBeUndefined();
    mend();
    it.device.configWrite(0x04, 2, memory);
    expect(held(it)).toEqual(everywhere(at + 0x1000 * 99));
  });

  test("nor do addresses alone pile up, and the BAR goes on decoding without", () => {
    using it = attach(oneBar);
    it.device.configWrite(0x04, 2, memory);
    const mend = it.platform.failOn(({ kind }) => kind === "address-free");
    for (let i = 0; i < 100; i++) it.device.configWrite(0x10, 4, at + 0x1000 * i);
    expect(held(it)).toMatchObject({ slots: [at + 0x63000], trapped: [at + 0x63000] });
    expect(held(it)["addresses"]!.length).toBeLessThan(10);
    mend();
    it.device.configWrite(0x04, 2, memory);
    expect(held(it)).toEqual(everywhere(at + 0x63000));
  });

  test("a platform that fails to reserve leaves a BAR that decodes, and says so once", () => {
    using it = attach(oneBar);
    const mend = it.platform.failOn(({ kind }) => kind === "address-reserve");
    moved(it);
    it.device.configWrite(0x04, 2, memory);
    expect(it.device.describe().bars[0]!.base).toBe(at);
    expect(it.eventsOf("address-unreserved")).toHaveLength(1);
    mend();
    it.device.configWrite(0x04, 2, memory);
    expect(held(it)).toEqual(everywhere(at));
  });
});

describe("one BAR's mapping", () => {
  function mapping(): {
    map: BarMapping;
    platform: MemoryPlatform;
    backend: WatchedBackend;
    events: DeviceEvent[];
  } {
    const platform = new MemoryPlatform();
    const backend = new WatchedBackend(new RecordedDevice(syntheticImage({ bars: { 0: { size: 0x2000 } } })));
    backend.usersOf = (hva, size) => platform.usersOf(hva, size);
    const events: DeviceEvent[] = [];
    const map = new BarMapping({
      backend,
      platform,
      info: backend.regions[RegionIndex.bar0]!,
      areas: [{ offset: 0, size: 0x2000 }],
      peers: true,
      report: (kind, message, cause) =>
        void events.push({ kind, device: backend.name, message, cause, count: 1 }),
    });
    return { map, platform, backend, events };
  }

  test("an address that is not a page's leaves the area trapped, and says why", () => {
    const { map, platform, backend, events } = mapping();
    map.show(0xd0000800);
    expect(events.map(({ kind, message }) => [kind, message])).toEqual([
      [
        "area-trapped",
        "BAR0 0x0+0x2000 would be at 0xd0000800, which is not aligned to pages of 4096 bytes, and stays trapped",
      ],
    ]);
    expect(platform.leaks()).toEqual([]);
    map[Symbol.dispose]();
    backend[Symbol.dispose]();
    platform[Symbol.dispose]();
  });

  test("is not shown over what is left of it at another place", () => {
    const { map, platform, backend, events } = mapping();
    map.show(at);
    const mend = platform.failOn(({ kind }) => kind === "slot-remove");
    map.withdraw();
    expect([map.hasLeft({ base: at - 1, size: 1 }), map.hasLeft({ base: at + 0x1fff, size: 1 })]).toEqual([
      false,
      true,
    ]);
    map.show(at + 0x1000);
    expect([map.mapped, events.map(({ kind }) => kind)]).toEqual([[], ["teardown", "area-trapped"]]);
    mend();
    map.settle();
    map.show(at + 0x1000);
    expect(platform.state().slots.map(({ gpa }) => gpa)).toEqual([at + 0x1000]);
    map[Symbol.dispose]();
    expect([backend.unmappedInUse, platform.leaks()]).toEqual([[], []]);
    backend[Symbol.dispose]();
    platform[Symbol.dispose]();
  });

  test.each(["slot-remove", "dma-unmap"] as const)(
    "disposed of while %s fails, it keeps host memory; disposed of again, it gives all back",
    (kind) => {
      const { map, platform, backend } = mapping();
      map.show(at);
      const { hva, size } = platform.state().slots[0]!;
      const mend = platform.failOn((action) => action.kind === kind);
      map[Symbol.dispose]();
      expect(platform.usersOf(hva, size)).toHaveLength(1);
      expect(backend.unmapped).toBe(0);
      mend();
      map[Symbol.dispose]();
      map[Symbol.dispose]();
      expect(platform.leaks()).toEqual([]);
      expect([backend.unmapped, backend.unmappedInUse]).toEqual([1, []]);
      backend[Symbol.dispose]();
      platform[Symbol.dispose]();
    },
  );
});
