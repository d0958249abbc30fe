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
    using it = attach(twoBars);
    expect(it.device.configRead(0x04, 2)).toBe(0);
    expect(it.device.configRead(0x10, 4)).not.toBe(0);
    expect(trapped(it)).toEqual({});
    it.device.configWrite(0x04, 2, memory);
    expect(trapped(it)).toEqual({ 0: it.device.configRead(0x10, 4), 1: it.device.configRead(0x14, 4) });
    expect(new Set(slots(it))).toEqual(new Set(Object.values(trapped(it))));
    expect(new Set(peers(it))).toEqual(new Set(slots(it)));
  });

  test("defect 13: sizing never reaches the device", () => {
    using it = attach(wide);
    const before = it.backend.counts.configWrites;
    it.device.configWrite(0x10, 4, 0xffffffff);
    it.device.configWrite(0x14, 4, 0xffffffff);
    expect([it.device.configRead(0x10, 4), it.device.configRead(0x14, 4)]).toEqual([0xffff000c, 0xffffffff]);
    expect(it.backend.counts.configWrites).toBe(before);
  });

  test("defect 21: any all-ones pattern sizes a BAR, and moves nothing", () => {
    using it = attach(twoBars);
    it.device.configWrite(0x04, 2, memory);
    const home = trapped(it);
    for (const probe of [0xffffffff, 0xfffffff0, 0xfffff000]) {
      const address = it.device.configRead(0x10, 4);
      it.device.configWrite(0x10, 4, probe);
      expect(it.device.configRead(0x10, 4)).toBe(0xfffff000);
      it.device.configWrite(0x10, 4, address);
      expect(trapped(it)).toEqual(home);
    }
  });

  test("defect 19: a BAR moves whatever the width and order of the writes", () => {
    for (const write of [
      (it: Attached) => it.device.configWrite(0x10, 4, 0xd0000000),
      (it: Attached) => (it.device.configWrite(0x10, 2, 0), it.device.configWrite(0x12, 2, 0xd000)),
      (it: Attached) => [0, 0, 0, 0xd0].forEach((byte, i) => it.device.configWrite(0x10 + i, 1, byte)),
      (it: Attached) => [0xd0, 0, 0, 0].forEach((byte, i) => it.device.configWrite(0x13 - i, 1, byte)),
    ]) {
      using it = attach(twoBars);
      it.device.configWrite(0x04, 2, memory);
      write(it);
      expect(trapped(it)[0]).toBe(0xd0000000);
      expect(slots(it)).toContain(0xd0000000);
      expect(peers(it)).toContain(0xd0000000);
    }
  });

  test("defect 19: a 64-bit BAR moves by its low half alone, and high then low", () => {
    using it = attach(wide);
    it.device.configWrite(0x04, 2, memory);
    const high = it.device.configRead(0x14, 4);
    it.device.configWrite(0x10, 4, 0x20000);
    expect(trapped(it)[0]).toBe(high * 2 ** 32 + 0x20000);
    it.device.configWrite(0x14, 4, 0x101);
    it.device.configWrite(0x10, 4, 0x40000);
    expect(trapped(it)[0]).toBe(0x101_0004_0000);
    expect(slots(it)).toEqual([0x101_0004_0000]);
  });

  test("defect 20: a write to an unused BAR register moves nothing", () => {
    using it = attach({ bars: { 0: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, memory);
    const home = trapped(it);
    it.device.configWrite(0x10, 4, 0xffffffff);
    it.device.configWrite(0x14, 4, 0);
    it.device.configWrite(0x14, 4, 0x12345678);
    it.device.configWrite(0x10, 4, home[0]!);
    expect(it.device.configRead(0x14, 4)).toBe(0);
    expect(trapped(it)).toEqual(home);
  });

  test("defect 22: nothing moves while decoding is off; what comes on is where the guest wrote last", () => {
    using it = attach(twoBars);
    it.device.configWrite(0x04, 2, memory);
    const [a, b] = [it.device.configRead(0x10, 4), it.device.configRead(0x14, 4)];
    it.device.configWrite(0x04, 2, 0);
    it.platform.clearRecord();
    it.device.configWrite(0x10, 4, 0xd0000000);
    it.device.configWrite(0x10, 4, a);
    expect(it.platform.actionsOf("slot-add", "bus-insert", "dma-map")).toEqual([]);
    // Two BARs change places in one window.
    it.device.configWrite(0x10, 4, b);
    it.device.configWrite(0x14, 4, a);
    it.device.configWrite(0x04, 2, memory);
    expect(trapped(it)).toEqual({ 0: b, 1: a });
    expect(it.eventsOf("bar-unplaced")).toEqual([]);
  });

  test("defect 22: I/O BARs follow I/O enable, memory BARs memory enable", () => {
    using it = attach({ bars: { 0: { size: 0x20, kind: "io" }, 1: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, io);
    expect(Object.keys(trapped(it))).toEqual(["0"]);
    it.device.configWrite(0x04, 2, memory);
    expect(Object.keys(trapped(it))).toEqual(["1"]);
  });

  test("defect 23: a BAR that cannot be placed decodes nothing, keeps its register, and comes back", () => {
    using it = attach(twoBars);
    it.device.configWrite(0x04, 2, memory);
    const home = it.device.configRead(0x10, 4);
    const other = it.device.configRead(0x14, 4);
    it.device.configWrite(0x10, 4, other);
    expect(it.device.configRead(0x10, 4)).toBe(other);
    expect(trapped(it)).toEqual({ 1: other });
    expect(it.eventsOf("bar-unplaced")[0]?.message).toContain("BAR0");
    it.device.configWrite(0x10, 4, home);
    expect(trapped(it)).toEqual({ 0: home, 1: other });
  });

  test.each(["bus-insert", "slot-add", "dma-map"] as const)(
    "defect 23: a move whose %s fails leaves no half of itself",
    (kind) => {
      using it = attach(twoBars);
      it.device.configWrite(0x04, 2, memory);
      it.platform.failNext(kind);
      it.device.configWrite(0x10, 4, 0xd0000000);
      const placed = trapped(it)[0];
      expect(placed).toBe(kind === "bus-insert" ? (undefined as unknown as number) : 0xd0000000);
      expect(slots(it).includes(0xd0000000)).toBe(kind === "dma-map");
      expect(peers(it).includes(0xd0000000)).toBe(false);
      it.device.configWrite(0x10, 4, 0xd1000000);
      expect([trapped(it)[0], slots(it).includes(0xd1000000), peers(it).includes(0xd1000000)]).toEqual([
        0xd1000000,
        true,
        true,
      ]);
    },
  );

  test("defect 24: a moved BAR takes its peer mapping along", () => {
    using it = attach(twoBars);
    it.device.configWrite(0x04, 2, memory);
    const home = it.device.configRead(0x10, 4);
    it.device.configWrite(0x10, 4, 0xd0000000);
    expect(peers(it)).toContain(0xd0000000);
    expect(peers(it)).not.toContain(home);
  });

  test("defect 26: BARs below a page get a page of their own", () => {
    using it = attach({ bars: { 0: { size: 256 }, 1: { size: 256 }, 2: { size: 0x1000 } } });
    it.device.configWrite(0x04, 2, memory);
    const bases = Object.values(trapped(it));
    expect(bases.map((base) => base % 4096)).toEqual([0, 0, 0]);
    expect(slots(it)).toEqual([trapped(it)[2]!]);
  });

  test("defect 15: the guest turns the ROM on and off", () => {
    using it = attach({ romSize: 0x8000 });
    it.device.configWrite(0x04, 2, memory);
    expect(trapped(it)).toEqual({});
    it.device.configWrite(0x30, 4, 0xfffff800);
    expect(it.device.configRead(0x30, 4)).toBe(0xffff8000);
    it.device.configWrite(0x30, 4, 0xd0000001);
    expect(trapped(it)).toEqual({ 6: 0xd0000000 });
    it.device.configWrite(0x30, 1, 0);
    expect(trapped(it)).toEqual({});
  });

  test("defect 34: slot and peers get the rights that the region has", () => {
    using it = attach({ bars: { 0: { size: 0x1000, writable: false } } });
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state().slots[0]?.readOnly).toBe(true);
    expect(it.platform.state().dma[0]?.writable).toBe(false);
  });

  test("defect 35: mappings are gone before the device hears that decoding ends, and come back after", () => {
    using it = attach({ ...twoBars, pm: true });
    it.device.configWrite(0x04, 2, memory);
    const home = slots(it);
    let during: number[] | undefined;
    it.backend.fails = (call) => {
      if (call.kind === "write" && call.region === 7) during = slots(it);
      return false;
    };
    it.device.configWrite(0x04, 2, 0);
    expect(during).toEqual([]);
    it.device.configWrite(0x04, 2, memory);
    expect(slots(it)).toEqual(home);
    // D3hot, and back to D0.
    it.device.configWrite(at.pm + 4, 2, 3);
    expect([during, slots(it)]).toEqual([[], []]);
    it.device.configWrite(at.pm + 4, 2, 0);
    expect(slots(it)).toEqual(home);
  });

  test("defect 35: a COMMAND write that the device refuses changes nothing", () => {
    using it = attach(twoBars);
    it.device.configWrite(0x04, 2, memory);
    const home = slots(it);
    it.backend.fails = (call) => call.kind === "write";
    it.device.configWrite(0x04, 2, 0);
    expect(slots(it)).toEqual(home);
    expect(it.eventsOf("access-failed")).toHaveLength(1);
    it.backend.fails = () => false;
  });

  test("defect 36: peer mapping may fail, or be off, and everything else works", () => {
    using it = attach(twoBars, {
      prepare: (_, platform) => platform.failOn((action) => action.kind === "dma-map"),
    });
    it.device.configWrite(0x04, 2, memory);
    expect([slots(it).length, peers(it)]).toEqual([2, []]);
    expect(it.eventsOf("peer-unavailable")).toHaveLength(2);
    using off = attach(twoBars, { attach: { peerToPeer: false } });
    off.device.configWrite(0x04, 2, memory);
    expect([slots(off).length, peers(off), off.events]).toEqual([2, [], []]);
    using none = attach(twoBars, { platform: { dma: false } });
    none.device.configWrite(0x04, 2, memory);
    expect(slots(none)).toHaveLength(2);
  });

  test("defect 33: an area that the host refuses to map is trapped, and the others are mapped", () => {
    using it = attach(twoBars, {
      prepare: (backend) => (backend.fails = (call) => call.kind === "map" && call.region === 0),
    });
    it.device.configWrite(0x04, 2, memory);
    expect(slots(it)).toEqual([it.device.configRead(0x14, 4)]);
    expect(mmioRead(it.device, it.device.configRead(0x10, 4), 4)).toBe(0);
    expect(it.eventsOf("area-trapped")).toHaveLength(1);
  });

  test("a BAR can be kept out of the mapping", () => {
    using it = attach(twoBars, { attach: { excludeFromMapping: [0] } });
    it.device.configWrite(0x04, 2, memory);
    expect(slots(it)).toEqual([it.device.configRead(0x14, 4)]);
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
  const placedIn = (it: Attached): unknown => it.device.describe().bars.map(({ base }) => base);
  for (const [first, second] of [
    [0x10, 0x14],
    [0x14, 0x10],
  ] as const) {
    using it = attach(what);
    it.device.configWrite(first, 4, 0xd0000000);
    it.device.configWrite(second, 4, 0xd0000000);
    it.device.configWrite(0x04, 2, memory);
    expect(placedIn(it)).toEqual(first === 0x10 ? [0xd0000000, undefined] : [undefined, 0xd0000000]);
    using back = attach(what, { snapshot: JSON.parse(JSON.stringify(it.device.snapshot())) });
    expect(placedIn(back)).toEqual(placedIn(it));
    expect(back.platform.state().addresses.mmio32).toEqual(it.platform.state().addresses.mmio32);
  }
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
