// Guest addresses of BARs that the VMM asks for at attach, as for devices whose driver wants them where the host has them.
import { describe, expect, test } from "bun:test";
import type { AttachOptions } from "../../../../src/index.ts";
import { attach, memory, type Attached } from "../../../support/attached.ts";
import { refusal } from "../../../support/refusal.ts";
import type { SyntheticDevice } from "../../../support/synthetic-image.ts";
import { tryAttach } from "../../../support/try-attach.ts";

const device: SyntheticDevice = {
  bars: {
    0: { size: 0x10000 },
    1: { size: 0x1000 },
    2: { size: 2 ** 28, kind: "memory64", prefetchable: true },
    4: { size: 0x20, kind: "io" },
  },
  romSize: 0x10000,
};
const addresses = ({ device }: Attached): (number | undefined)[] =>
  device.describe().bars.map(({ address }) => address);

test("BARs are where the VMM asks for them, and the others keep out of the way", () => {
  // BAR0 would be at the very top of its window, and so the ROM is asked to.
  const top = 0xfc000000 - 0x10000;
  using guest = attach(device, {
    attach: { bars: { 2: { address: 2 ** 40 + 2 ** 30 }, 4: { address: 0xc040 }, 6: { address: top } } },
  });
  const [bar0, bar1, bar2, bar4, rom] = addresses(guest);
  expect([bar2, bar4, rom]).toEqual([2 ** 40 + 2 ** 30, 0xc040, top]);
  expect(bar0!).toBeLessThan(top);
  expect(bar1!).toBeLessThan(top);
  guest.device.configWrite(0x04, 2, memory);
  expect(guest.platform.state().slots.map(({ gpa }) => gpa)).toContain(2 ** 40 + 2 ** 30);
});

test("the reset of the VMM brings them back there, the guest's to 0", () => {
  using guest = attach(
    { ...device, pcie: true },
    { attach: { bars: { 0: { address: 0xd0000000 }, 1: {} } } },
  );
  const first = addresses(guest);
  guest.device.configWrite(0x10, 4, 0xe0000000);
  guest.device.reset();
  expect(addresses(guest)).toEqual(first);
  expect(first[0]).toBe(0xd0000000);
});

test("a 64-bit BAR may be below 4 GiB, and where a restore asks for it its first address is", () => {
  const bars = { 2: { address: 0xd0000000 } };
  using guest = attach(device, { attach: { bars } });
  expect(guest.device.configRead(0x18, 4)).toBe(0xd000000c);
  guest.device.configWrite(0x1c, 4, 0x100);
  const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
  using back = attach(device, { snapshot, attach: { bars } });
  expect(addresses(back)).toEqual(addresses(guest));
  back.device.reset();
  expect(back.device.configRead(0x18, 4)).toBe(0xd000000c);
});

test("where a BAR that grows for its MSI-X table does not fit there, it does not grow", () => {
  const what: SyntheticDevice = {
    bars: { 0: { size: 0x4000 } },
    msix: { vectors: 2, table: [0, 0x800], pba: [0, 0xc00] },
  };
  using plain = attach(what);
  expect(plain.device.describe().msix!.relocated).toBe(true);
  using guest = attach(what, { attach: { bars: { 0: { address: 0xd0004000 } } } });
  expect(guest.device.describe().msix!.relocated).toBe(false);
  expect(addresses(guest)).toEqual([0xd0004000]);
});

describe("is refused with the reason", () => {
  const refused: readonly (readonly [what: string, bars: AttachOptions["bars"], message: RegExp])[] = [
    ["no BAR", { 5: { address: 0xd0000000 } }, /BAR5 cannot be at 0xd0000000: the device has no such BAR/],
    ["an upper half", { 3: { address: 0xd0000000 } }, /BAR3 .*: the device has no such BAR/],
    ["alignment", { 0: { address: 0xd0008000 } }, /BAR0 .*0xd0008000: .*not aligned to its size, 0x10000/],
    ["a 32-bit register", { 0: { address: 2 ** 40 } }, /BAR0 .*: its register has 32 bits/],
    ["a window", { 0: { address: 0x80000000 } }, /BAR0 .*: outside of every window/],
    ["the window of ports", { 4: { address: 0xd0000000 } }, /BAR4 .*: outside of every window/],
    ["memory for ports", { 1: { address: 0x2000 } }, /BAR1 .*: outside of every window/],
    [
      "another BAR",
      { 0: { address: 0xd0000000 }, 1: { address: 0xd0003000 } },
      /BAR1 .*: BAR0 is asked to be there/,
    ],
  ];
  test.each(refused)("for %s", (_, bars, message) => {
    const error = refusal(() => attach(device, { attach: { bars } }));
    expect(error).toMatchObject({ code: "EADDRNOTAVAIL", device: "0000:01:00.0" });
    expect(error.message).toMatch(message);
    using gone = tryAttach(device, { attach: { bars } }, () => {});
    expect(gone).toBeUndefined();
  });

  test("for what somebody else has", () => {
    const bars = { 0: { address: 0xd0000000 } };
    const error = refusal(() =>
      attach(device, {
        attach: { bars },
        prepare: (_, platform) => void platform.addresses.mmio32.reserve(0xd0008000, 0x1000),
      }),
    );
    expect(error.message).toMatch(/BAR0 cannot be at 0xd0000000: something else has part of it/);
  });

  test.each([
    [{ bars: [] }, TypeError, '"bars" must be an object'],
    [{ bars: { 7: {} } }, RangeError, '"bars" has no 7'],
    [{ bars: { x: {} } }, RangeError, '"bars" has no x'],
    [{ bars: { 0: 5 } }, TypeError, '"bars[0]" must be an object'],
    [{ bars: { 0: { address: "0" } } }, TypeError, '"bars[0].address" must be a number, not string'],
    [{ bars: { 0: { address: -1 } } }, RangeError, '"bars[0].address" must be an integer from 0'],
    [{ bars: { 0: { address: 2 ** 53 } } }, RangeError, '"bars[0].address" must be an integer from 0'],
  ])("as an option that cannot be: %j", (options, kind, message) => {
    const wrong = options as unknown as AttachOptions;
    expect(() => attach(device, { attach: wrong })).toThrow(kind as ErrorConstructor);
    expect(() => attach(device, { attach: wrong })).toThrow(message);
  });
});
