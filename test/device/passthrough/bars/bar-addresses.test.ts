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
const bases = (it: Attached): unknown => it.device.describe().bars.map(({ base }) => base);
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
      using it = attach(what);
      it.device.configWrite(0x04, 2, command);
      const before = bases(it);
      const saved = probes.map(([register]) => it.device.configRead(register, 4));
      const home = it.platform.state().addresses;
      for (const [register, probe] of probes) it.device.configWrite(register, 4, probe);
      using other = plug(it, what);
      const address = (device: VfioPciDevice): unknown => device.describe().bars[0]!.address;
      probes.forEach(([register], i) => it.device.configWrite(register, 4, saved[i]!));
      expect(address(other)).not.toBe(address(it.device));
      other[Symbol.dispose]();
      expect(bases(it)).toEqual(before);
      expect(it.platform.state().addresses).toEqual(home);
    }
  },
);

test("a place that the guest chose while nothing decoded is kept through sizing too", () => {
  using it = attach(oneBar);
  it.device.configWrite(0x10, 4, 0xd0000000);
  it.device.configWrite(0x10, 4, 0xffffffff);
  expect(it.platform.state().addresses.mmio32).toEqual([{ base: 0xd0000000, size: 0x1000 }]);
});

test.each([0, memory])(
  "a 64-bit BAR keeps its place while its lower half is sized into another (COMMAND %i)",
  (command) => {
    using it = attach(wide);
    it.device.configWrite(0x10, 4, 0x20000);
    it.device.configWrite(0x04, 2, command);
    const reserved = (): number[] => it.platform.state().addresses.mmio64.map(({ base }) => base);
    const [home] = reserved();
    it.device.configWrite(0x10, 4, 0xffffffff);
    expect(reserved()).toEqual([home!, 2 ** 41 - 0x10000]);
    it.device.configWrite(0x10, 4, 0x20000);
    expect(reserved()).toEqual([home!]);
  },
);

test("an address that looks like sizing is one, once the guest decodes there", () => {
  using it = attach(wide);
  const top = it.device.configRead(0x10, 4) & ~0xf;
  expect(top >>> 0).toBe(0xffff0000);
  it.device.configWrite(0x10, 4, 0x20000);
  it.device.configWrite(0x10, 4, top >>> 0);
  it.device.configWrite(0x04, 2, memory);
  expect(it.platform.state().addresses.mmio64).toEqual([{ base: 2 ** 41 - 0x10000, size: 0x10000 }]);
});

test("a BAR that does not decode is in no other's way: of one device", () => {
  using it = attach({ ...oneBar, romSize: 0x1000 });
  const rom = it.device.configRead(0x30, 4);
  it.device.configWrite(0x10, 4, rom);
  it.device.configWrite(0x04, 2, memory);
  expect(bases(it)).toEqual([rom, undefined]);
  expect(it.events).toEqual([]);
  // And the ROM in the way of none where both decode.
  it.device.configWrite(0x30, 4, rom + 1);
  expect(bases(it)).toEqual([rom, undefined]);
  expect(it.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
    `ROM cannot be at 0x${rom.toString(16)}: BAR0 is there`,
  ]);
});

test("a BAR that does not decode is in no other's way: of two devices", () => {
  using it = attach(oneBar);
  using other = plug(it);
  const theirs = other.configRead(0x10, 4);
  it.device.configWrite(0x10, 4, theirs);
  it.device.configWrite(0x04, 2, memory);
  expect([bases(it), it.events]).toEqual([[theirs], []]);
  // Both decode: the bus has one of them.
  other.configWrite(0x04, 2, memory);
  expect(other.describe().bars[0]!.base).toBeUndefined();
  // Who decodes elsewhere gives the address up, to who is there.
  other.configWrite(0x10, 4, 0xd0000000);
  it.device.configWrite(0x04, 2, memory);
  expect(
    it.platform
      .state()
      .addresses.mmio32.map(({ base }) => base)
      .toSorted(),
  ).toEqual([theirs, 0xd0000000].toSorted());
});

test("two BARs change places, decoding or not, and keep their addresses from everybody else", () => {
  using it = attach(twoBars);
  const [a, b] = [it.device.configRead(0x10, 4), it.device.configRead(0x14, 4)];
  const { addresses } = it.platform.state();
  it.device.configWrite(0x10, 4, b);
  it.device.configWrite(0x14, 4, a);
  expect(it.platform.state().addresses).toEqual(addresses);
  it.device.configWrite(0x04, 2, memory);
  expect(bases(it)).toEqual([b, a]);
  it.device.configWrite(0x10, 4, a);
  it.device.configWrite(0x14, 4, b);
  it.device.configWrite(0x04, 2, memory);
  expect(bases(it)).toEqual([a, b]);
  expect(it.platform.state().addresses).toEqual(addresses);
});

test("a BAR that cannot be placed says so once an address, and is tried again each time", () => {
  using it = attach(oneBar);
  using other = plug(it);
  other.configWrite(0x04, 2, memory);
  const theirs = other.configRead(0x10, 4);
  it.device.configWrite(0x10, 4, theirs);
  for (let i = 0; i < 5; i++) it.device.configWrite(0x04, 2, i % 2 === 0 ? memory : 0);
  expect(it.eventsOf("bar-unplaced").map(({ message }) => message)).toEqual([
    `BAR0 cannot be at 0x${theirs.toString(16)}: the bus refuses it`,
  ]);
  it.device.configWrite(0x10, 4, 0x1000);
  expect(it.eventsOf("bar-unplaced").at(-1)?.message).toBe(
    "BAR0 cannot be at 0x1000: outside of every window",
  );
  it.device.configWrite(0x10, 4, theirs);
  expect(it.eventsOf("bar-unplaced")).toHaveLength(3);
  other.configWrite(0x04, 2, 0);
  it.device.configWrite(0x04, 2, memory);
  expect(bases(it)).toEqual([theirs]);
});

test("a BAR that the bus refuses keeps no smaller one of its device from its place", () => {
  using it = attach({ bars: { 0: { size: 0x4000 }, 1: { size: 0x1000 } } });
  using other = plug(it);
  other.configWrite(0x10, 4, 0xd0000000);
  other.configWrite(0x04, 2, memory);
  it.device.configWrite(0x10, 4, 0xd0000000);
  it.device.configWrite(0x14, 4, 0xd0001000);
  it.device.configWrite(0x04, 2, memory);
  expect(bases(it)).toEqual([undefined, 0xd0001000]);
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
      using it = attach(what);
      using second = plug(it, what);
      for (const one of steps) {
        const device = one.second ? second : it.device;
        device.configWrite(one.write[0], 4, one.write[1]);
        const { trapped, slots, addresses } = it.platform.state();
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
    using it = attach(sized);
    it.device.configWrite(0x04, 2, memory);
    for (const register of [0x10, 0x14, 0x18, 0x1c, 0x20]) {
      const before = it.device.configRead(register, 4);
      it.device.configWrite(register, 4, 0xffffffff);
      it.device.configWrite(register, 4, before);
    }
    expect(it.device.describe().bars.every(({ base }) => base !== undefined)).toBe(true);
    expect(it.events).toEqual([]);
  });

  test("that is no sizing does: decoding is turned on there", () => {
    using it = attach(sized);
    it.device.configWrite(0x10, 4, 0xffffffff);
    it.device.configWrite(0x04, 2, memory);
    expect(it.eventsOf("bar-unplaced")).toHaveLength(1);
  });
});

test("a hidden ROM reads 0, takes no write, and stays hidden after a restore", () => {
  const withRom: SyntheticDevice = { bars: { 0: { size: 0x1000 } }, romSize: 0x1000 };
  using it = attach(withRom, { attach: { rom: "hide" } });
  using restored = attach(withRom, { snapshot: it.device.snapshot() });
  for (const { device } of [it, restored]) {
    device.configWrite(0x30, 4, 0xffffffff);
    expect([device.configRead(0x30, 4), device.describe().bars.length]).toEqual([0, 1]);
  }
  expect(() => attach(withRom, { attach: { rom: "show" as "hide" } })).toThrow(RangeError);
});
