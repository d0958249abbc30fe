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
function moved(guest: Attached): number {
  guest.device.configWrite(0x04, 2, memory);
  const home = guest.device.configRead(0x10, 4);
  guest.device.configWrite(0x10, 4, at);
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
    using guest = attach(oneBar);
    const mend = guest.platform.failOn((action) => action.kind === kind);
    const home = moved(guest);
    guest.device.configWrite(0x3c, 1, 5);
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.eventsOf("teardown")).toHaveLength(1);
    expect(guest.device.describe().bars[0]!.base).toBe(at);
    const now = sorted(held(guest));
    // What lies above in the order of removal has gone; the address stays with whatever is left there.
    expect(now["addresses"]).toContain(home);
    expect(now["slots"]!.includes(home)).toBe(kind === "slot-remove");
    expect(now["dma"]!.includes(home)).toBe(kind === "dma-unmap");
    expect(now["trapped"]!.includes(home)).toBe(kind !== "address-free");
    mend();
    guest.device.configWrite(0x04, 2, memory);
    expect(sorted(held(guest))).toEqual(everywhere(at));
  });

  test.each(removals)(
    "%s: at detach is reported, host memory stays under what is left, and the next dispose takes all",
    (kind) => {
      const guest = attach(oneBar);
      guest.device.configWrite(0x04, 2, memory);
      const [slot] = guest.platform.state().slots;
      const mend = guest.platform.failOn((action) => action.kind === kind);
      expect([guest.device.closed, guest.device.released]).toEqual([false, false]);
      guest.device[Symbol.dispose]();
      expect(guest.backend.unmappedInUse).toEqual([]);
      expect(guest.eventsOf("teardown").length).toBeGreaterThan(0);
      const users = guest.platform.usersOf(slot!.hva, slot!.size);
      expect(users).toHaveLength(kind === "slot-remove" || kind === "dma-unmap" ? 1 : 0);
      const closed = (): number => guest.backend.calls.filter((call) => call.kind === "close").length;
      // A backend takes its mappings along when it is closed.
      expect(closed()).toBe(users.length > 0 ? 0 : 1);
      expect([guest.device.closed, guest.device.released]).toEqual([true, false]);
      const messages = guest.eventsOf("teardown").map(({ message }) => message);
      expect(messages.some((message) => message.includes("stays mapped"))).toBe(users.length > 0);
      expect(messages.some((message) => message.includes("the device stays open"))).toBe(users.length > 0);
      expect(() => guest.device.describe()).toThrow("is closed");
      mend();
      for (let again = 0; again < 2; again++) guest.device[Symbol.dispose]();
      expect(guest.device.released).toBe(true);
      expect([guest.platform.leaks(), guest.backend.unmappedInUse, closed()]).toEqual([[], [], 1]);
      guest.platform[Symbol.dispose]();
    },
  );

  test.each(removals)(
    "%s: a dispose that changes nothing says nothing, one that finds another cause says it",
    (kind) => {
      const guest = attach(oneBar);
      guest.device.configWrite(0x04, 2, memory);
      const mend = guest.platform.failOn((action) => action.kind === kind);
      guest.device[Symbol.dispose]();
      const told = guest.events.length;
      for (let again = 0; again < 3; again++) guest.device[Symbol.dispose]();
      expect(guest.events.slice(told).map(({ message }) => message)).toEqual([]);
      mend();
      guest.device[Symbol.dispose]();
      expect([guest.device.released, guest.events.length]).toEqual([true, told]);
      guest.platform[Symbol.dispose]();
    },
  );

  test("host memory that cannot be unmapped is told of once, and again with another cause", () => {
    const guest = attach(oneBar);
    const map = guest.recorded.map.bind(guest.recorded);
    let why: string | undefined = "EBUSY";
    guest.recorded.map = (region, area) => {
      const mapping = map(region, area);
      return {
        hva: mapping.hva,
        size: mapping.size,
        [Symbol.dispose]() {
          if (why !== undefined) throw new Error(why);
          mapping[Symbol.dispose]();
        },
      };
    };
    guest.device.configWrite(0x04, 2, memory);
    for (const cause of ["EBUSY", "EBUSY", "EIO", "EIO", undefined]) {
      why = cause;
      guest.device[Symbol.dispose]();
    }
    expect(guest.eventsOf("teardown").map(({ cause }) => (cause as Error).message)).toEqual(["EBUSY", "EIO"]);
    guest.platform[Symbol.dispose]();
  });

  test.each(removals)(
    "%s: refused once at detach, it is gone with what is around it when that ends, or the next time",
    (kind) => {
      const guest = attach(oneBar);
      guest.device.configWrite(0x04, 2, memory);
      guest.platform.failNext(kind);
      guest.device[Symbol.dispose]();
      expect(guest.device.released).toBe(guest.platform.leaks().length === 0);
      guest.device[Symbol.dispose]();
      expect([guest.device.released, guest.platform.leaks()]).toEqual([true, []]);
      guest.platform[Symbol.dispose]();
    },
  );

  test("a slot that failed to go at a move, and went at detach, loses its host memory after it", () => {
    using guest = attach(oneBar);
    guest.platform.failNext("slot-remove");
    moved(guest);
    expect(guest.platform.state().slots).toHaveLength(2);
  });

  test.each(removals)("%s: a BAR that comes back finds what it left, and takes it as its own", (kind) => {
    using guest = attach(oneBar);
    const mend = guest.platform.failOn((action) => action.kind === kind);
    guest.device.configWrite(0x04, 2, memory);
    const before = guest.platform.state();
    guest.device.configWrite(0x04, 2, 0);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state()).toEqual(before);
    expect(guest.device.describe().bars[0]!.mapped).toMatchObject(
      [{ ...before.slots[0], peer: true }].map(({ slot, gpa, hva, peer }) => ({ slot, gpa, hva, peer })),
    );
    expect(guest.eventsOf("area-trapped")).toEqual([]);
    mend();
    guest.device.configWrite(0x04, 2, 0);
    expect(held(guest)).toMatchObject({ slots: [], dma: [], trapped: [] });
  });

  test.each(["dma-unmap", "slot-remove", "bus-remove"] as const)(
    "%s: no other BAR comes to be where something is left, until it is gone",
    (kind) => {
      using guest = attach(twoBars);
      const mend = guest.platform.failOn((action) => action.kind === kind);
      const home = moved(guest);
      guest.device.configWrite(0x14, 4, home);
      expect(guest.device.describe().bars.map(({ base }) => base)).toEqual([at, undefined]);
      expect(guest.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
        `BAR1 cannot be at 0x${home.toString(16)}: what BAR0 had there is not taken back yet`,
      ]);
      mend();
      guest.device.configWrite(0x04, 2, memory);
      expect(sorted(held(guest))).toEqual(everywhere(at, home));
    },
  );

  test("a guest that moves a BAR again and again does not pile up what is left", () => {
    using guest = attach(oneBar);
    guest.device.configWrite(0x04, 2, memory);
    const mend = guest.platform.failOn(({ kind }) => (removals as readonly string[]).includes(kind));
    for (let i = 0; i < 100; i++) guest.device.configWrite(0x10, 4, at + 0x1000 * i);
    const counts = Object.values(held(guest)).map(({ length }) => length);
    for (const count of counts) expect(count).toBeLessThan(10);
    expect(guest.device.describe().bars[0]!.base).toBeUndefined();
    mend();
    guest.device.configWrite(0x04, 2, memory);
    expect(held(guest)).toEqual(everywhere(at + 0x1000 * 99));
  });

  test("nor do addresses alone pile up, and the BAR goes on decoding without", () => {
    using guest = attach(oneBar);
    guest.device.configWrite(0x04, 2, memory);
    const mend = guest.platform.failOn(({ kind }) => kind === "address-free");
    for (let i = 0; i < 100; i++) guest.device.configWrite(0x10, 4, at + 0x1000 * i);
    expect(held(guest)).toMatchObject({ slots: [at + 0x63000], trapped: [at + 0x63000] });
    expect(held(guest)["addresses"]!.length).toBeLessThan(10);
    mend();
    guest.device.configWrite(0x04, 2, memory);
    expect(held(guest)).toEqual(everywhere(at + 0x63000));
  });

  test("a platform that fails to reserve leaves a BAR that decodes, and says so once", () => {
    using guest = attach(oneBar);
    const mend = guest.platform.failOn(({ kind }) => kind === "address-reserve");
    moved(guest);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.device.describe().bars[0]!.base).toBe(at);
    expect(guest.eventsOf("address-unreserved")).toHaveLength(1);
    mend();
    guest.device.configWrite(0x04, 2, memory);
    expect(held(guest)).toEqual(everywhere(at));
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
      size: 0x2000,
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
