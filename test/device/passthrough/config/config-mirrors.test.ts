// Devices that show their config space in a BAR: what the guest finds there is the model's, as in config space itself.
import { describe, expect, test } from "bun:test";
import type { AttachOptions } from "../../../../src/index.ts";
import { attach, bytesOf, master, memory, mmioRead, type Attached } from "../../../support/attached.ts";
import { refusal } from "../../../support/refusal.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const home = 0xd0000000;
const nvidia: SyntheticDevice = {
  vendorId: 0x10de,
  bars: { 0: { size: 2 ** 24 }, 1: { size: 2 ** 28, kind: "memory64", prefetchable: true } },
  pcie: true,
  pm: true,
  msi: { log2: 0, wide: true },
};
const asVga = (what: SyntheticDevice): SyntheticDevice => ({
  ...what,
  patch: (_, view) => view.setUint32(0x08, 0x03000001, true),
});
const plain: SyntheticDevice = { bars: { 0: { size: 0x10000 }, 4: { size: 0x100, kind: "io" } }, pm: true };
const mirrors = ({ device }: Attached): unknown => device.describe().configMirrors;

function placed(what: SyntheticDevice, options: AttachOptions = {}): Attached {
  const guest = attach(what, { attach: options });
  guest.device.configWrite(0x10, 4, home);
  guest.device.configWrite(0x04, 2, memory | master);
  return guest;
}

describe("the table of known devices", () => {
  test("has all of NVIDIA's that reach so far, and what its VGA firmware uses", () => {
    const all = { region: 0, offset: 0x88000, size: 4096 };
    using guest = attach(nvidia);
    expect(mirrors(guest)).toEqual([all]);
    using firmware = attach(asVga(nvidia));
    expect(mirrors(firmware)).toEqual([all, { region: 0, offset: 0x1800, size: 256 }]);
    // The audio function beside it, and a device of conventional PCI.
    using audio = attach({ ...nvidia, bars: { 0: { size: 0x4000 } } });
    expect(mirrors(audio)).toEqual([]);
    using old = attach({ ...nvidia, pcie: false, configSize: 256 });
    expect(mirrors(old)).toEqual([{ ...all, size: 256 }]);
  });
  test("has ATI's VGA with registers in BAR2, and not those with doorbells there", () => {
    const bars = { 0: { size: 2 ** 28 }, 2: { size: 0x20000, kind: "memory64" as const } };
    using guest = attach(asVga({ vendorId: 0x1002, bars }));
    expect(mirrors(guest)).toEqual([{ region: 2, offset: 0x4000, size: 256 }]);
    using later = attach(asVga({ vendorId: 0x1002, bars: { ...bars, 5: { size: 0x40000 } } }));
    expect(mirrors(later)).toEqual([]);
    using other = attach({ vendorId: 0x1002, bars });
    expect(mirrors(other)).toEqual([]);
  });
  test("has nobody else, and gives way to the option", () => {
    using guest = attach(plain);
    expect(mirrors(guest)).toEqual([]);
    using without = placed(nvidia, { configMirrors: [] });
    expect(mirrors(without)).toEqual([]);
    expect(without.platform.state().slots.map(({ gpa }) => gpa)).toContain(home);
    expect(without.platform.state().slots).toHaveLength(2);
  });
});

describe("a mirror", () => {
  test("keeps its page from being mapped, and no other", () => {
    using guest = placed(nvidia);
    expect(
      guest.platform
        .state()
        .slots.filter(({ gpa }) => gpa < home + 2 ** 24)
        .map(({ gpa, size }) => [gpa - home, size]),
    ).toEqual([
      [0, 0x88000],
      [0x89000, 2 ** 24 - 0x89000],
    ]);
  });

  test("reads as config space does, in every width and across dwords", () => {
    using guest = placed(nvidia);
    // What the hardware shows there: the host's.
    guest.recorded.write(0, 0x88000, new Uint8Array(4096).fill(0x5a));
    for (let offset = 0; offset < 4096; offset += 4)
      expect([offset, mmioRead(guest.device, home + 0x88000 + offset, 4)]).toEqual([
        offset,
        guest.device.configRead(offset, 4),
      ]);
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => guest.device.configRead(i, 1));
    for (const width of [1, 2, 3, 4, 5, 7, 8])
      for (let offset = 0; offset + width <= 64; offset++) {
        const data = new Uint8Array(width);
        guest.device.mmioRead(home + 0x88000 + offset, data);
        expect(data).toEqual(bytes.slice(offset, offset + width));
      }
    // An access that begins in front of it, and one that ends behind it.
    guest.recorded.write(0, 0x87ffc, bytesOf(0x11223344, 4));
    const data = new Uint8Array(8);
    guest.device.mmioRead(home + 0x87ffc, data);
    expect([...data]).toEqual([0x44, 0x33, 0x22, 0x11, ...bytes.slice(0, 4)]);
    expect(guest.eventsOf("bad-access")).toEqual([]);
  });

  test("is written as config space is: BARs move, MSI is routed, power withdraws, a reset is the guest's", () => {
    using guest = placed(nvidia);
    const mirror = (offset: number): number => home + 0x88000 + offset;
    const write = (offset: number, width: number, value: number): void =>
      void guest.device.mmioWrite(mirror(offset), bytesOf(value, width));
    write(at.msi + 4, 8, 0xfee01000);
    write(at.msi + 12, 2, 0x4041);
    write(at.msi + 2, 2, 1);
    expect(guest.platform.state().routes).toMatchObject([
      { message: { addressLow: 0xfee01000, addressHigh: 0, data: 0x4041 } },
    ]);
    write(at.pm + 4, 2, 3);
    expect(guest.device.describe().bars[0]!.base).toBeUndefined();
    guest.device.configWrite(at.pm + 4, 2, 0);
    write(0x10, 4, home + 2 ** 24);
    expect(guest.device.describe().bars[0]!.base).toBe(home + 2 ** 24);
    guest.device.configWrite(0x10, 4, home);
    write(at.pcie + 8, 2, 0x8000);
    expect(guest.device.configRead(0x10, 4)).toBe(0);
    expect(guest.events).toEqual([]);
  });

  test("passes a write to the head of MSI alone on to the device: so NVIDIA's drivers acknowledge an interrupt", () => {
    using guest = placed(nvidia);
    const calls = guest.backend.calls.length;
    guest.device.mmioWrite(home + 0x88000 + at.msi, bytesOf(0xff, 1));
    guest.device.mmioWrite(home + 0x88000 + at.msi, bytesOf(0xffff, 2));
    guest.device.mmioWrite(home + 0x88000 + at.msi, bytesOf(0x80ffff, 4));
    guest.device.mmioWrite(home + 0x88000 + at.pm, bytesOf(0xff, 1));
    expect(guest.backend.calls.slice(calls).filter((call) => "region" in call && call.region === 0)).toEqual([
      { kind: "write", region: 0, offset: 0x88000 + at.msi, size: 1 },
      { kind: "write", region: 0, offset: 0x88000 + at.msi, size: 2 },
    ]);
    expect(guest.device.configRead(at.msi, 1)).toBe(0x05);
  });

  test("beyond a smaller config space it is what config space is there", () => {
    using guest = placed(
      { ...plain, configSize: 256 },
      { configMirrors: [{ bar: 0, offset: 0x2000, size: 4096 }] },
    );
    expect(mmioRead(guest.device, home + 0x2000 + 0x100, 4)).toBe(0xffffffff);
    guest.device.mmioWrite(home + 0x2000 + 0x100, bytesOf(0, 4));
    expect(guest.events).toEqual([]);
  });

  test("costs a read of the device for a dword at most", () => {
    using guest = placed(nvidia);
    for (let offset = 0; offset < 4096; offset += 4) {
      const { configReads, regionReads } = guest.backend.counts;
      mmioRead(guest.device, home + 0x88000 + offset, 4);
      expect(guest.backend.counts.configReads - configReads).toBeLessThanOrEqual(1);
      expect(guest.backend.counts.regionReads).toBe(regionReads);
    }
  });

  test("comes back with a snapshot as it was, whatever the table says there", () => {
    const given = [{ bar: 0, offset: 0x1000, size: 256 }];
    for (const configMirrors of [undefined, given, []]) {
      using guest = placed(nvidia, { configMirrors });
      const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
      using back = attach(nvidia, { snapshot });
      expect(mirrors(back)).toEqual(mirrors(guest));
      using other = attach(nvidia, { snapshot, attach: { configMirrors: [{ bar: 1, offset: 0 }] } });
      expect(mirrors(other)).toEqual(mirrors(guest));
    }
    using guest = placed(nvidia, { configMirrors: given });
    const broken = structuredClone(guest.device.snapshot()) as { options: { configMirrors: unknown } };
    for (const wrong of [
      [{ bar: -1, offset: 0, size: 4 }],
      [{ bar: 0, offset: 2 ** 30, size: 4 }],
      [{ bar: 0, offset: 0 }],
      [{ bar: 3, offset: 0, size: 4 }],
      { 0: 1 },
    ]) {
      broken.options.configMirrors = wrong;
      expect(refusal(() => attach(nvidia, { snapshot: broken })).code).toBe("EBADSNAPSHOT");
    }
  });
});

describe("an option that cannot be is refused", () => {
  test.each<[unknown, ErrorConstructor, string]>([
    [5, TypeError, '"configMirrors" must be a list'],
    [[null], TypeError, '"configMirrors[0]" must be an object'],
    [[{ bar: "0", offset: 0 }], TypeError, '"configMirrors[0].bar" must be a number'],
    [[{ bar: 6, offset: 0 }], RangeError, '"configMirrors[0].bar" must be an integer from 0 to 5'],
    [[{ bar: 0, offset: -4 }], RangeError, '"configMirrors[0].offset" must be'],
    [[{ bar: 0, offset: 2 }], RangeError, '"configMirrors[0]" must have whole dwords: offset 2, size 4096'],
    [[{ bar: 0, offset: 0, size: 6 }], RangeError, "must have whole dwords: offset 0, size 6"],
    [[{ bar: 0, offset: 0, size: 8192 }], RangeError, '"configMirrors[0].size" must be'],
    [[{ bar: 0, offset: 0xf004 }], RangeError, "0x1000 bytes at 0xf004 of BAR0: the BAR has 0x10000 bytes"],
    [[{ bar: 1, offset: 0 }], RangeError, "of BAR1: the device has no such memory BAR"],
    [[{ bar: 4, offset: 0, size: 4 }], RangeError, "of BAR4: the device has no such memory BAR"],
    [
      [
        { bar: 0, offset: 0 },
        { bar: 0, offset: 0xffc, size: 8 },
      ],
      RangeError,
      "0x8 bytes at 0xffc of BAR0: another lies there",
    ],
  ])("%j", (configMirrors, kind, message) => {
    const wrong = { configMirrors } as AttachOptions;
    expect(() => attach(plain, { attach: wrong })).toThrow(kind);
    expect(() => attach(plain, { attach: wrong })).toThrow(message);
  });
});

test("beside an MSI-X table in the same page each answers its own part", () => {
  using guest = placed(
    { bars: { 0: { size: 0x4000 } }, msix: { vectors: 2, table: [0, 0x100], pba: [0, 0x180] } },
    { configMirrors: [{ bar: 0, offset: 0, size: 0x100 }], msixRelocation: "never" },
  );
  expect(mmioRead(guest.device, home, 4)).toBe(guest.device.configRead(0, 4));
  const data = new Uint8Array(8);
  guest.device.mmioWrite(home + 0x100, bytesOf(0xfee00000, 4));
  guest.device.mmioRead(home + 0xfc, data);
  expect([...data]).toEqual([...bytesOf(guest.device.configRead(0xfc, 4), 4), ...bytesOf(0xfee00000, 4)]);
});
