import { describe, expect, test } from "bun:test";
import type { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { attach, io, memory, mmioRead, type Attached } from "../../../support/attached.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const twoBars: SyntheticDevice = { bars: { 0: { size: 0x1000 }, 1: { size: 0x1000 } } };
const wide: SyntheticDevice = { bars: { 0: { size: 0x10000, kind: "memory64", prefetchable: true } } };
/** Where BAR accesses trap, by region. */
const trapped = ({ platform }: Attached): Record<number, number> =>
  Object.fromEntries(platform.state().trapped.map(({ region, base }) => [region, base]));
const slots = ({ platform }: Attached): number[] => platform.state().slots.map(({ gpa }) => gpa);
const peers = ({ platform }: Attached): number[] => platform.state().dma.map(({ iova }) => iova);

describe("BARs in the guest's address space", () => {
  test("at attach each BAR has an address, and decodes nothing until the guest says so", () => {
    using guest = attach(twoBars);
    expect(guest.device.configRead(0x04, 2)).toBe(0);
    expect(guest.device.configRead(0x10, 4)).not.toBe(0);
    expect(trapped(guest)).toEqual({});
    guest.device.configWrite(0x04, 2, memory);
    expect(trapped(guest)).toEqual({
      0: guest.device.configRead(0x10, 4),
      1: guest.device.configRead(0x14, 4),
    });
    expect(new Set(slots(guest))).toEqual(new Set(Object.values(trapped(guest))));
    expect(new Set(peers(guest))).toEqual(new Set(slots(guest)));
  });

  test("defect 13: sizing never reaches the device", () => {
    using guest = attach(wide);
    const before = guest.backend.counts.configWrites;
    guest.device.configWrite(0x10, 4, 0xffffffff);
    guest.device.configWrite(0x14, 4, 0xffffffff);
    expect([guest.device.configRead(0x10, 4), guest.device.configRead(0x14, 4)]).toEqual([
      0xffff000c, 0xffffffff,
    ]);
    expect(guest.backend.counts.configWrites).toBe(before);
  });

  test("defect 21: any all-ones pattern sizes a BAR, and moves nothing", () => {
    using guest = attach(twoBars);
    guest.device.configWrite(0x04, 2, memory);
    const home = trapped(guest);
    for (const probe of [0xffffffff, 0xfffffff0, 0xfffff000]) {
      const address = guest.device.configRead(0x10, 4);
      guest.device.configWrite(0x10, 4, probe);
      expect(guest.device.configRead(0x10, 4)).toBe(0xfffff000);
      guest.device.configWrite(0x10, 4, address);
      expect(trapped(guest)).toEqual(home);
    }
  });

  test("defect 19: a BAR moves whatever the width and order of the writes", () => {
    for (const write of [
      (guest: Attached) => guest.device.configWrite(0x10, 4, 0xd0000000),
      (guest: Attached) => (guest.device.configWrite(0x10, 2, 0), guest.device.configWrite(0x12, 2, 0xd000)),
      (guest: Attached) => [0, 0, 0, 0xd0].forEach((byte, i) => guest.device.configWrite(0x10 + i, 1, byte)),
      (guest: Attached) => [0xd0, 0, 0, 0].forEach((byte, i) => guest.device.configWrite(0x13 - i, 1, byte)),
    ]) {
      using guest = attach(twoBars);
      guest.device.configWrite(0x04, 2, memory);
      write(guest);
      expect(trapped(guest)[0]).toBe(0xd0000000);
      expect(slots(guest)).toContain(0xd0000000);
      expect(peers(guest)).toContain(0xd0000000);
    }
  });

  test("defect 19: a 64-bit BAR moves by its low half alone, and high then low", () => {
    using guest = attach(wide);
    guest.device.configWrite(0x04, 2, memory);
    const high = guest.device.configRead(0x14, 4);
    guest.device.configWrite(0x10, 4, 0x20000);
    expect(trapped(guest)[0]).toBe(high * 2 ** 32 + 0x20000);
    guest.device.configWrite(0x14, 4, 0x101);
    guest.device.configWrite(0x10, 4, 0x40000);
    expect(trapped(guest)[0]).toBe(0x101_0004_0000);
    expect(slots(guest)).toEqual([0x101_0004_0000]);
  });

  test("defect 20: a write to an unused BAR register moves nothing", () => {
    using guest = attach({ bars: { 0: { size: 0x1000 } } });
    guest.device.configWrite(0x04, 2, memory);
    const home = trapped(guest);
    guest.device.configWrite(0x10, 4, 0xffffffff);
    guest.device.configWrite(0x14, 4, 0);
    guest.device.configWrite(0x14, 4, 0x12345678);
    guest.device.configWrite(0x10, 4, home[0]!);
    expect(guest.device.configRead(0x14, 4)).toBe(0);
    expect(trapped(guest)).toEqual(home);
  });

  test("defect 22: nothing moves while decoding is off; what comes on is where the guest wrote last", () => {
    using guest = attach(twoBars);
    guest.device.configWrite(0x04, 2, memory);
    const [a, b] = [guest.device.configRead(0x10, 4), guest.device.configRead(0x14, 4)];
    guest.device.configWrite(0x04, 2, 0);
    guest.platform.clearRecord();
    guest.device.configWrite(0x10, 4, 0xd0000000);
    guest.device.configWrite(0x10, 4, a);
    expect(guest.platform.actionsOf("slot-add", "bus-insert", "dma-map")).toEqual([]);
    // Two BARs change places in one window.
    guest.device.configWrite(0x10, 4, b);
    guest.device.configWrite(0x14, 4, a);
    guest.device.configWrite(0x04, 2, memory);
    expect(trapped(guest)).toEqual({ 0: b, 1: a });
    expect(guest.eventsOf("bar-unplaced")).toEqual([]);
  });

  test("defect 22: I/O BARs follow I/O enable, memory BARs memory enable", () => {
    using guest = attach({ bars: { 0: { size: 0x20, kind: "io" }, 1: { size: 0x1000 } } });
    guest.device.configWrite(0x04, 2, io);
    expect(Object.keys(trapped(guest))).toEqual(["0"]);
    guest.device.configWrite(0x04, 2, memory);
    expect(Object.keys(trapped(guest))).toEqual(["1"]);
  });

  test("defect 23: a BAR that cannot be placed decodes nothing, keeps its register, and comes back", () => {
    using guest = attach(twoBars);
    guest.device.configWrite(0x04, 2, memory);
    const home = guest.device.configRead(0x10, 4);
    const other = guest.device.configRead(0x14, 4);
    guest.device.configWrite(0x10, 4, other);
    expect(guest.device.configRead(0x10, 4)).toBe(other);
    expect(trapped(guest)).toEqual({ 1: other });
    expect(guest.eventsOf("bar-unplaced")[0]?.message).toContain("BAR0");
    guest.device.configWrite(0x10, 4, home);
    expect(trapped(guest)).toEqual({ 0: home, 1: other });
  });

  test.each(["bus-insert", "slot-add", "dma-map"] as const)(
    "defect 23: a move whose %s fails leaves no half of itself",
    (kind) => {
      using guest = attach(twoBars);
      guest.device.configWrite(0x04, 2, memory);
      guest.platform.failNext(kind);
      guest.device.configWrite(0x10, 4, 0xd0000000);
      const placed = trapped(guest)[0];
      expect(placed).toBe(kind === "bus-insert" ? (undefined as unknown as number) : 0xd0000000);
      expect(slots(guest).includes(0xd0000000)).toBe(kind === "dma-map");
      expect(peers(guest).includes(0xd0000000)).toBe(false);
      guest.device.configWrite(0x10, 4, 0xd1000000);
      expect([
        trapped(guest)[0],
        slots(guest).includes(0xd1000000),
        peers(guest).includes(0xd1000000),
      ]).toEqual([0xd1000000, true, true]);
    },
  );

  test("defect 24: a moved BAR takes its peer mapping along", () => {
    using guest = attach(twoBars);
    guest.device.configWrite(0x04, 2, memory);
    const home = guest.device.configRead(0x10, 4);
    guest.device.configWrite(0x10, 4, 0xd0000000);
    expect(peers(guest)).toContain(0xd0000000);
    expect(peers(guest)).not.toContain(home);
  });

  test("defect 26: BARs below a page get a page of their own", () => {
    using guest = attach({ bars: { 0: { size: 256 }, 1: { size: 256 }, 2: { size: 0x1000 } } });
    guest.device.configWrite(0x04, 2, memory);
    const bases = Object.values(trapped(guest));
    expect(bases.map((base) => base % 4096)).toEqual([0, 0, 0]);
    expect(slots(guest).sort()).toEqual(bases.sort());
  });

  test("defect 15: the guest turns the ROM on and off", () => {
    using guest = attach({ romSize: 0x8000 });
    guest.device.configWrite(0x04, 2, memory);
    expect(trapped(guest)).toEqual({});
    guest.device.configWrite(0x30, 4, 0xfffff800);
    expect(guest.device.configRead(0x30, 4)).toBe(0xffff8000);
    guest.device.configWrite(0x30, 4, 0xd0000001);
    expect(trapped(guest)).toEqual({ 6: 0xd0000000 });
    guest.device.configWrite(0x30, 1, 0);
    expect(trapped(guest)).toEqual({});
  });

  test("defect 34: slot and peers get the rights that the region has", () => {
    using guest = attach({ bars: { 0: { size: 0x1000, writable: false } } });
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state().slots[0]?.readOnly).toBe(true);
    expect(guest.platform.state().dma[0]?.writable).toBe(false);
  });

  test("defect 35: mappings are gone before the device hears that decoding ends, and come back after", () => {
    using guest = attach({ ...twoBars, pm: true });
    guest.device.configWrite(0x04, 2, memory);
    const home = slots(guest);
    let during: number[] | undefined;
    guest.backend.fails = (call) => {
      if (call.kind === "write" && call.region === 7) during = slots(guest);
      return false;
    };
    guest.device.configWrite(0x04, 2, 0);
    expect(during).toEqual([]);
    guest.device.configWrite(0x04, 2, memory);
    expect(slots(guest)).toEqual(home);
    // D3hot, and back to D0.
    guest.device.configWrite(at.pm + 4, 2, 3);
    expect([during, slots(guest)]).toEqual([[], []]);
    guest.device.configWrite(at.pm + 4, 2, 0);
    expect(slots(guest)).toEqual(home);
  });

  test("defect 35: a COMMAND write that the device refuses changes nothing", () => {
    using guest = attach(twoBars);
    guest.device.configWrite(0x04, 2, memory);
    const home = slots(guest);
    guest.backend.fails = (call) => call.kind === "write";
    guest.device.configWrite(0x04, 2, 0);
    expect(slots(guest)).toEqual(home);
    expect(guest.eventsOf("access-failed")).toHaveLength(1);
    guest.backend.fails = () => false;
  });

  test("defect 36: peer mapping may fail, or be off, and everything else works", () => {
    using guest = attach(twoBars, {
      prepare: (_, platform) => platform.failOn((action) => action.kind === "dma-map"),
    });
    guest.device.configWrite(0x04, 2, memory);
    expect([slots(guest).length, peers(guest)]).toEqual([2, []]);
    expect(guest.eventsOf("peer-unavailable")).toHaveLength(2);
    using off = attach(twoBars, { attach: { peerToPeer: false } });
    off.device.configWrite(0x04, 2, memory);
    expect([slots(off).length, peers(off), off.events]).toEqual([2, [], []]);
    using none = attach(twoBars, { platform: { dma: false } });
    none.device.configWrite(0x04, 2, memory);
    expect(slots(none)).toHaveLength(2);
  });

  test("defect 33: an area that the host refuses to map is trapped, and the others are mapped", () => {
    using guest = attach(twoBars, {
      prepare: (backend) => (backend.fails = (call) => call.kind === "map" && call.region === 0),
    });
    guest.device.configWrite(0x04, 2, memory);
    expect(slots(guest)).toEqual([guest.device.configRead(0x14, 4)]);
    expect(mmioRead(guest.device, guest.device.configRead(0x10, 4), 4)).toBe(0);
    expect(guest.eventsOf("area-trapped")).toHaveLength(1);
  });

  test("a BAR can be kept out of the mapping", () => {
    using guest = attach(twoBars, { attach: { excludeFromMapping: [0] } });
    guest.device.configWrite(0x04, 2, memory);
    expect(slots(guest)).toEqual([guest.device.configRead(0x14, 4)]);
  });

  test("a window without room names every BAR and what does not fit; nothing stays taken", () => {
    const platform = { windows: { mmio32: { base: 0xc0000000, size: 0x1000 } } };
    let made: MemoryPlatform | undefined;
    const prepare = (_: unknown, platform: MemoryPlatform): void => void (made = platform);
    let message = "";
    try {
      attach(twoBars, { platform, prepare });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain("BAR1 memory32 0x1000");
    expect(made?.leaks()).toEqual([]);
  });
});

test("of two BARs at one address the one that came first has it, and has it after a restore too", () => {
  const what = { bars: { 0: { size: 0x8000 }, 1: { size: 0x1000 } } };
  const placedIn = (guest: Attached): unknown => guest.device.describe().bars.map(({ base }) => base);
  for (const [first, second] of [
    [0x10, 0x14],
    [0x14, 0x10],
  ] as const) {
    using guest = attach(what);
    guest.device.configWrite(first, 4, 0xd0000000);
    guest.device.configWrite(second, 4, 0xd0000000);
    guest.device.configWrite(0x04, 2, memory);
    expect(placedIn(guest)).toEqual(first === 0x10 ? [0xd0000000, undefined] : [undefined, 0xd0000000]);
    using back = attach(what, { snapshot: JSON.parse(JSON.stringify(guest.device.snapshot())) });
    expect(placedIn(back)).toEqual(placedIn(guest));
    expect(back.platform.state().addresses.mmio32).toEqual(guest.platform.state().addresses.mmio32);
  }
});

test("defect 71: while one BAR moves, the others stay trapped", () => {
  using guest = attach({ bars: { 0: { size: 0x1000 }, 1: { size: 0x1000 } } });
  guest.device.configWrite(0x04, 2, memory);
  guest.platform.clearRecord();
  guest.device.configWrite(0x10, 4, 0xd0000000);
  const moved = guest.platform.actionsOf("bus-remove", "bus-insert");
  expect(moved.map(({ kind, region }) => [kind, region])).toEqual([
    ["bus-remove", 0],
    ["bus-insert", 0],
  ]);
});
