// BARs smaller than a page: the host offers to map one only where nothing else is in its page; the guest's page is looked after here.
import { describe, expect, test } from "bun:test";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { attach, bytesOf, memory, mmioRead, type Attached } from "../../../support/attached.ts";
import { syntheticImage, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const page = 0x1000;
const home = 0xd0000000;
const small: SyntheticDevice = { bars: { 0: { size: 0x100 } } };
/** Of the two only the first begins a page on the host. */
const two: SyntheticDevice = { bars: { 0: { size: 0x100 }, 1: { size: 0x100, mappable: false } } };

const slots = ({ platform }: Attached): { gpa: number; size: number }[] =>
  platform.state().slots.map(({ gpa, size }) => ({ gpa, size }));
const whole = [{ gpa: home, size: page }];

/** A device whose BAR0 decodes at the beginning of a page. */
function placed(what = small, test: Parameters<typeof attach>[1] = {}): Attached {
  const guest = attach(what, test);
  guest.device.configWrite(0x10, 4, home);
  guest.device.configWrite(0x04, 2, memory);
  return guest;
}
/** Another device on the same platform, whose BAR0 is put somewhere. */
function beside(guest: Attached, address: number): VfioPciDevice {
  const image = syntheticImage({ bars: { 0: { size: 0x100, mappable: false } } });
  const other = VfioPciDevice.attach(new RecordedDevice(image), guest.platform);
  other.configWrite(0x10, 4, address);
  other.configWrite(0x04, 2, memory);
  return other;
}

test("one that the host maps is a page to the guest and to peers, and its own bytes in it", () => {
  using guest = placed();
  expect(slots(guest)).toEqual(whole);
  expect(guest.platform.state().dma.map(({ iova, size }) => ({ gpa: iova, size }))).toEqual(whole);
  expect(guest.platform.state().trapped.map(({ base, size }) => [base, size])).toEqual([[home, 0x100]]);
  expect(guest.device.describe().bars[0]!.mapped).toMatchObject([{ offset: 0, size: page, peer: true }]);
  expect(guest.device.hostAddress(home, page)).toBeDefined();
  expect(guest.events).toEqual([]);
  guest.device.configWrite(0x04, 2, 0);
  expect([slots(guest), guest.platform.state().kept]).toEqual([[], []]);
});

test("the guest finds the size that the device has", () => {
  using guest = placed();
  guest.device.configWrite(0x10, 4, 0xffffffff);
  expect(guest.device.configRead(0x10, 4)).toBe(0xffffff00);
});

test("one that the host does not map stays trapped, and that is no event", () => {
  using guest = placed({ bars: { 0: { size: 0x100, mappable: false } } });
  expect([slots(guest), guest.events]).toEqual([[], []]);
});

test("at an address inside of a page it is trapped, once told, and mapped again at the beginning of one", () => {
  using guest = placed();
  guest.device.configWrite(0x10, 4, home + 0x200);
  guest.device.configWrite(0x3c, 1, 5);
  expect(slots(guest)).toEqual([]);
  expect(guest.eventsOf("area-trapped").map(({ message }) => message)).toEqual([
    "BAR0 0x0+0x1000 would be at 0xd0000200, which is not aligned to pages of 4096 bytes, and stays trapped",
  ]);
  expect(mmioRead(guest.device, home + 0x200, 4)).toBe(0);
  guest.device.configWrite(0x10, 4, home + page);
  expect(slots(guest)).toEqual([{ gpa: home + page, size: page }]);
});

test("another BAR of the device in its page has it trapped, and mapped again once it leaves", () => {
  using guest = placed(two);
  expect(slots(guest)).toEqual(whole);
  guest.device.configWrite(0x14, 4, home + 0x800);
  expect(slots(guest)).toEqual([]);
  guest.recorded.write(1, 0, bytesOf(0x12345678, 4));
  expect(mmioRead(guest.device, home + 0x800, 4)).toBe(0x12345678);
  guest.device.configWrite(0x3c, 1, 5);
  expect(guest.eventsOf("area-trapped").map(({ message }) => message)).toEqual([
    "BAR0 0x0+0x1000 shares its page at 0xd0000000 with something else and stays trapped",
  ]);
  guest.device.configWrite(0x14, 4, home + page);
  expect(slots(guest)).toEqual(whole);
});

test("both come into one page at once, by COMMAND", () => {
  using guest = attach(two);
  guest.device.configWrite(0x10, 4, home);
  guest.device.configWrite(0x14, 4, home + 0x100);
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual([]);
  expect(guest.platform.state().trapped).toHaveLength(2);
  expect(guest.eventsOf("area-trapped")).toHaveLength(1);
});

test("a BAR of another device comes to be in the page: the guest reaches that one, not the memory of this", () => {
  using guest = placed();
  guest.platform.clearRecord();
  using other = beside(guest, home + 0x400);
  const kinds = guest.platform.actions.map(({ kind }) => kind);
  const order = kinds.filter((kind) => ["slot-remove", "dma-unmap", "bus-insert"].includes(kind));
  expect(order).toEqual(["dma-unmap", "slot-remove", "bus-insert"]);
  expect(slots(guest)).toEqual([]);
  expect(mmioRead(other, home + 0x400, 4)).toBe(0);
  expect(guest.eventsOf("area-trapped")).toHaveLength(1);
  // While it is there nothing changes; once it is gone the next write of the guest brings the page back.
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual([]);
  other[Symbol.dispose]();
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual(whole);
  expect(guest.eventsOf("area-trapped")).toHaveLength(1);
});

test("and so it is where the other was there first", () => {
  using guest = attach(small);
  using other = beside(guest, home + 0xf00);
  guest.device.configWrite(0x10, 4, home);
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual([]);
  other.configWrite(0x04, 2, 0);
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual(whole);
});

test.each(["slot-remove", "dma-unmap"] as const)(
  "a page that cannot be taken back (%s) keeps others out until it can",
  (kind) => {
    using guest = placed();
    const mend = guest.platform.failOn((action) => action.kind === kind);
    const image = syntheticImage({ bars: { 0: { size: 0x100, mappable: false } } });
    const said: string[] = [];
    using other = VfioPciDevice.attach(new RecordedDevice(image), guest.platform, {
      onEvent: ({ kind: what }) => void said.push(what),
    });
    other.configWrite(0x10, 4, home + 0x400);
    other.configWrite(0x04, 2, memory);
    expect(said).toEqual(["bar-unplaced"]);
    expect(other.describe().bars[0]!.base).toBeUndefined();
    expect(guest.eventsOf("teardown")).toHaveLength(1);
    mend();
    other.configWrite(0x04, 2, memory);
    expect(other.describe().bars[0]!.base).toBe(home + 0x400);
    expect([slots(guest), guest.platform.state().kept]).toEqual([[], []]);
  },
);

test("a platform that keeps no rest of a page free has it trapped, and that is told once", () => {
  using guest = placed(small, {
    prepare: (_, platform) => void Object.assign(platform.bus, { keepFree: undefined }),
  });
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual([]);
  expect(guest.eventsOf("area-trapped").map(({ message }) => message)).toEqual([
    "BAR0 0x0+0x1000 is smaller than a page, which this platform does not keep free for it, and stays trapped",
  ]);
});

test("on a host of larger pages a BAR of 4 KiB is such a one", () => {
  using guest = attach(
    { bars: { 0: { size: 0x1000 } } },
    {
      platform: { pageSize: 0x10000 },
      // A recording has pages of this machine.
      prepare: (backend) => {
        backend.map = (_, { size }) => ({ hva: 0x10000, size, [Symbol.dispose]: () => {} });
      },
    },
  );
  guest.device.configWrite(0x10, 4, home);
  guest.device.configWrite(0x04, 2, memory);
  expect(slots(guest)).toEqual([{ gpa: home, size: 0x10000 }]);
});

describe("with an MSI-X table in it", () => {
  const what: SyntheticDevice = {
    bars: { 0: { size: 0x800 } },
    msix: { vectors: 2, table: [0, 0x400], pba: [0, 0x600] },
  };
  test("it is trapped, as the table stays", () => {
    using guest = placed(what);
    expect(guest.device.describe().msix!.relocated).toBe(false);
    expect([slots(guest), guest.events]).toEqual([[], []]);
  });
  test("nor where the device says that its PBA is in the rest of that page", () => {
    using guest = placed(
      {
        bars: { 0: { size: 0x100 }, 1: { size: 0x4000 } },
        msix: { vectors: 1, table: [1, 0], pba: [0, 0x200] },
      },
      { attach: { msixRelocation: "never" } },
    );
    expect(slots(guest).map(({ gpa }) => gpa)).not.toContain(home);
  });
  test("it is mapped where the table moves: its page is in a BAR larger than that", () => {
    using guest = placed(what, { attach: { msixRelocation: "always" } });
    expect(slots(guest)).toEqual(whole);
    expect(guest.platform.state().kept).toEqual([]);
  });
});

test("a restore maps it again", () => {
  using guest = placed();
  const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
  using back = attach(small, { snapshot });
  expect(slots(back)).toEqual(whole);
});
