// Which of those that want an address has it: reservations keep an address for a BAR, and decoding decides.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { attach, memory, type Attached } from "../../../support/attached.ts";
import { syntheticImage, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const oneBar: SyntheticDevice = { bars: { 0: { size: 0x1000 } } };
const twoBars: SyntheticDevice = { bars: { 0: { size: 0x1000 }, 1: { size: 0x1000 } } };
const wide: SyntheticDevice = { bars: { 0: { size: 0x10000, kind: "memory64" } } };
const bases = (guest: Attached): unknown => guest.device.describe().bars.map(({ base }) => base);
const plug = ({ platform }: Attached, what = oneBar): VfioPciDevice =>
  VfioPciDevice.attach(new RecordedDevice(syntheticImage(what)), platform);

test.each([0, memory])(
  "a device plugged in while a BAR is sized gets another address (COMMAND %i)",
  (command) => {
    for (const [what, probes] of [
      [oneBar, [[0x10, 0xffffffff]]],
      [{ romSize: 0x1000 }, [[0x30, 0xfffff800]]],
      [wide, [[0x10, 0xffffffff]]],
      [wide, [[0x14, 0xffffffff]]],
      [
        wide,
        [
          [0x10, 0xffffffff],
          [0x14, 0xffffffff],
        ],
      ],
    ] as const) {
      using guest = attach(what);
      guest.device.configWrite(0x04, 2, command);
      const before = bases(guest);
      const saved = probes.map(([register]) => guest.device.configRead(register, 4));
      const home = guest.platform.state().addresses;
      for (const [register, probe] of probes) guest.device.configWrite(register, 4, probe);
      using other = plug(guest, what);
      const address = (device: VfioPciDevice): unknown => device.describe().bars[0]!.address;
      probes.forEach(([register], i) => guest.device.configWrite(register, 4, saved[i]!));
      expect(address(other)).not.toBe(address(guest.device));
      other[Symbol.dispose]();
      expect(bases(guest)).toEqual(before);
      expect(guest.platform.state().addresses).toEqual(home);
    }
  },
);

test("a place that the guest chose while nothing decoded is kept through sizing too", () => {
  using guest = attach(oneBar);
  guest.device.configWrite(0x10, 4, 0xd0000000);
  guest.device.configWrite(0x10, 4, 0xffffffff);
  expect(guest.platform.state().addresses.mmio32).toEqual([{ base: 0xd0000000, size: 0x1000 }]);
});

test.each([0, memory])(
  "a 64-bit BAR keeps its place while its lower half is sized into another (COMMAND %i)",
  (command) => {
    using guest = attach(wide);
    guest.device.configWrite(0x10, 4, 0x20000);
    guest.device.configWrite(0x04, 2, command);
    const reserved = (): number[] => guest.platform.state().addresses.mmio64.map(({ base }) => base);
    const [home] = reserved();
    guest.device.configWrite(0x10, 4, 0xffffffff);
    expect(reserved()).toEqual([home!, 2 ** 41 - 0x10000]);
    guest.device.configWrite(0x10, 4, 0x20000);
    expect(reserved()).toEqual([home!]);
  },
);

test("an address that looks like sizing is one, once the guest decodes there", () => {
  using guest = attach(wide);
  const top = guest.device.configRead(0x10, 4) & ~0xf;
  expect(top >>> 0).toBe(0xffff0000);
  guest.device.configWrite(0x10, 4, 0x20000);
  guest.device.configWrite(0x10, 4, top >>> 0);
  guest.device.configWrite(0x04, 2, memory);
  expect(guest.platform.state().addresses.mmio64).toEqual([{ base: 2 ** 41 - 0x10000, size: 0x10000 }]);
});

test("a BAR that does not decode is in no other's way: of one device", () => {
  using guest = attach({ ...oneBar, romSize: 0x1000 });
  const rom = guest.device.configRead(0x30, 4);
  guest.device.configWrite(0x10, 4, rom);
  guest.device.configWrite(0x04, 2, memory);
  expect(bases(guest)).toEqual([rom, undefined]);
  expect(guest.events).toEqual([]);
  // And the ROM in the way of none where both decode.
  guest.device.configWrite(0x30, 4, rom + 1);
  expect(bases(guest)).toEqual([rom, undefined]);
  expect(guest.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
    `ROM cannot be at 0x${rom.toString(16)}: BAR0 is there`,
  ]);
});

test("a BAR that does not decode is in no other's way: of two devices", () => {
  using guest = attach(oneBar);
  using other = plug(guest);
  const theirs = other.configRead(0x10, 4);
  guest.device.configWrite(0x10, 4, theirs);
  guest.device.configWrite(0x04, 2, memory);
  expect([bases(guest), guest.events]).toEqual([[theirs], []]);
  // Both decode: the bus has one of them.
  other.configWrite(0x04, 2, memory);
  expect(other.describe().bars[0]!.base).toBeUndefined();
  // Who decodes elsewhere gives the address up, to who is there.
  other.configWrite(0x10, 4, 0xd0000000);
  guest.device.configWrite(0x04, 2, memory);
  expect(
    guest.platform
      .state()
      .addresses.mmio32.map(({ base }) => base)
      .toSorted(),
  ).toEqual([theirs, 0xd0000000].toSorted());
});

test("two BARs change places, decoding or not, and keep their addresses from everybody else", () => {
  using guest = attach(twoBars);
  const [a, b] = [guest.device.configRead(0x10, 4), guest.device.configRead(0x14, 4)];
  const { addresses } = guest.platform.state();
  guest.device.configWrite(0x10, 4, b);
  guest.device.configWrite(0x14, 4, a);
  expect(guest.platform.state().addresses).toEqual(addresses);
  guest.device.configWrite(0x04, 2, memory);
  expect(bases(guest)).toEqual([b, a]);
  guest.device.configWrite(0x10, 4, a);
  guest.device.configWrite(0x14, 4, b);
  guest.device.configWrite(0x04, 2, memory);
  expect(bases(guest)).toEqual([a, b]);
  expect(guest.platform.state().addresses).toEqual(addresses);
});

test("a BAR that cannot be placed says so once an address, and is tried again each time", () => {
  using guest = attach(oneBar);
  using other = plug(guest);
  other.configWrite(0x04, 2, memory);
  const theirs = other.configRead(0x10, 4);
  guest.device.configWrite(0x10, 4, theirs);
  for (let i = 0; i < 5; i++) guest.device.configWrite(0x04, 2, i % 2 === 0 ? memory : 0);
  expect(guest.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
    expect.stringContaining(
      `BAR0 cannot be at 0x${theirs.toString(16)}: the bus refuses it: trapped range mmio 0x`,
    ),
  ]);
  guest.device.configWrite(0x10, 4, 0x1000);
  expect(guest.eventsOf("bar-unplaced").at(-1)?.message).toBe(
    "BAR0 cannot be at 0x1000: outside of every window",
  );
  guest.device.configWrite(0x10, 4, theirs);
  expect(guest.eventsOf("bar-unplaced")).toHaveLength(3);
  other.configWrite(0x04, 2, 0);
  guest.device.configWrite(0x04, 2, memory);
  expect(bases(guest)).toEqual([theirs]);
});

test("a BAR that the bus refuses keeps no smaller one of its device from its place", () => {
  using guest = attach({ bars: { 0: { size: 0x4000 }, 1: { size: 0x1000 } } });
  using other = plug(guest);
  other.configWrite(0x10, 4, 0xd0000000);
  other.configWrite(0x04, 2, memory);
  guest.device.configWrite(0x10, 4, 0xd0000000);
  guest.device.configWrite(0x14, 4, 0xd0001000);
  guest.device.configWrite(0x04, 2, memory);
  expect(bases(guest)).toEqual([undefined, 0xd0001000]);
});

test("whatever two guests' devices do: a BAR that decodes in a window is placed, or another is there", () => {
  const what: SyntheticDevice = {
    bars: { 0: { size: 0x4000 }, 1: { size: 0x1000 }, 2: { size: 0x1000, kind: "memory64" } },
    romSize: 0x1000,
  };
  const place = fc.constantFrom(0xd0000001, 0xd0001001, 0xd0004001, 0xffffffff, 0xfbfff001, 0x1001);
  const step = fc.record({
    second: fc.boolean(),
    write: fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constantFrom(0x10, 0x14, 0x18, 0x30), place) },
      { weight: 1, arbitrary: fc.tuple(fc.constant(0x1c), fc.constantFrom(0, 0x101, 0xffffffff)) },
      { weight: 2, arbitrary: fc.tuple(fc.constant(0x04), fc.constantFrom(0, memory)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant(0x30), fc.constantFrom(0xd0000000, 0xd0004000)) },
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      using guest = attach(what);
      using second = plug(guest, what);
      for (const one of steps) {
        const device = one.second ? second : guest.device;
        device.configWrite(one.write[0], 4, one.write[1]);
        const { trapped, slots, addresses } = guest.platform.state();
        const { bars, command } = device.describe();
        for (const { kind, address, base, size } of bars) {
          const romOff = kind === "rom" && (device.configRead(0x30, 4) & 1) === 0;
          if (address === undefined || base !== undefined || !(command & memory) || romOff) continue;
          const inside = (at: number, from: number, to: number): boolean => at >= from && at + size <= to;
          if (!inside(address, 0xc0000000, 0xfc000000) && !inside(address, 2 ** 40, 2 ** 41)) continue;
          expect(
            trapped.some((other) => address < other.base + other.size && other.base < address + size),
          ).toBe(true);
        }
        // No BAR's place lies over another's; what is reserved is no more than a home and a place each.
        for (const slot of slots)
          expect(trapped.filter(({ base, size }) => slot.gpa >= base && slot.gpa < base + size)).toHaveLength(
            1,
          );
        expect(addresses.mmio32.length + addresses.mmio64.length).toBeLessThanOrEqual(16);
      }
    }),
    { numRuns: 300 },
  );
});

describe("sizing", () => {
  const sized: SyntheticDevice = {
    bars: {
      0: { size: 0x1000 },
      1: { size: 2 ** 20, kind: "memory64", prefetchable: true },
      3: { size: 2 ** 33, kind: "memory64", mappable: false },
    },
  };
  // As FreeBSD and OpenBSD may.
  test("with decoding on makes no event: nothing failed", () => {
    using guest = attach(sized);
    guest.device.configWrite(0x04, 2, memory);
    for (const register of [0x10, 0x14, 0x18, 0x1c, 0x20]) {
      const before = guest.device.configRead(register, 4);
      guest.device.configWrite(register, 4, 0xffffffff);
      guest.device.configWrite(register, 4, before);
    }
    expect(guest.device.describe().bars.every(({ base }) => base !== undefined)).toBe(true);
    expect(guest.events).toEqual([]);
  });

  test.each([1, 2])(
    "in pieces of %d bytes makes no event, and what stays out of place is told with the next write",
    (width) => {
      using guest = attach({ ...sized, romSize: 0x10000 });
      const { device } = guest;
      device.configWrite(0x04, 2, memory);
      const inPieces = (register: number, value: number): void => {
        for (let at = 0; at < 4; at += width)
          device.configWrite(register + at, width, (value >>> (8 * at)) & (2 ** (8 * width) - 1));
      };
      for (const register of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x30]) {
        const before = device.configRead(register, 4);
        inPieces(register, 0xffffffff);
        inPieces(register, before);
      }
      expect([guest.events, device.describe().bars[0]!.base !== undefined]).toEqual([[], true]);
      device.configWrite(0x13, 1, 0x10);
      expect(guest.events).toEqual([]);
      device.configWrite(0x04, 2, memory);
      expect(guest.eventsOf("bar-unplaced")).toHaveLength(1);
    },
  );

  test.each([0xffffffff, 0xfffffffe, 0xfffff800])("of a ROM, with %p, makes no event either", (ones) => {
    using guest = attach({ bars: {}, romSize: 0x10000 });
    guest.device.configWrite(0x04, 2, memory);
    for (const before of [guest.device.configRead(0x30, 4), guest.device.configRead(0x30, 4) + 1]) {
      guest.device.configWrite(0x30, 4, before);
      guest.device.configWrite(0x30, 4, ones);
      expect(guest.device.configRead(0x30, 4)).toBe((0xffff0000 + (ones & 1)) >>> 0);
      guest.device.configWrite(0x30, 4, before);
    }
    expect(guest.device.describe().bars[0]!.base).toBeDefined();
    expect(guest.events).toEqual([]);
  });

  test("that is no sizing does: decoding is turned on there", () => {
    using guest = attach(sized);
    guest.device.configWrite(0x10, 4, 0xffffffff);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.eventsOf("bar-unplaced")).toHaveLength(1);
  });
});

test("a hidden ROM reads 0, takes no write, and stays hidden after a restore", () => {
  const withRom: SyntheticDevice = { bars: { 0: { size: 0x1000 } }, romSize: 0x1000 };
  using guest = attach(withRom, { attach: { rom: "hide" } });
  using restored = attach(withRom, { snapshot: guest.device.snapshot() });
  for (const { device } of [guest, restored]) {
    device.configWrite(0x30, 4, 0xffffffff);
    expect([device.configRead(0x30, 4), device.describe().bars.length]).toEqual([0, 1]);
  }
  expect(() => attach(withRom, { attach: { rom: "show" as "hide" } })).toThrow(RangeError);
});
