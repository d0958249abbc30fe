import { describe, expect, test } from "bun:test";
import {
  attach,
  bytesOf,
  memory,
  mmioRead,
  writeVector,
  type Attached,
  type Call,
  type WatchedBackend,
} from "../../../support/attached.ts";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const device = (
  vectors: number,
  more: Partial<NonNullable<SyntheticDevice["msix"]>> = {},
): SyntheticDevice => ({
  bars: { 0: { size: 0x20000 } },
  msix: { vectors, table: [0, 0x10000], pba: [0, 0x18000], ...more },
});
const enable = 0x8000;
const functionMask = 0x4000;
const control = at.msix + 2;

/** Attaches, turns decoding on, and returns the guest address of the table. */
function ready(what: SyntheticDevice, test = {}): Attached & { table: number; pba: number } {
  const guest = attach(what, test);
  guest.device.configWrite(0x04, 2, memory);
  const base = guest.device.configRead(0x10, 4);
  const { guest: place } = guest.device.describe().msix!;
  return Object.assign(guest, { table: base + place.table.offset, pba: base + place.pba.offset });
}
const routes = ({ platform }: Attached): number[] => platform.state().routes.map(({ vector }) => vector);
const irqfds = ({ platform }: Attached): number[] => platform.state().irqfds.map(({ vector }) => vector);
const routingUpdates = ({ platform }: Attached): number => platform.actionsOf("set-routing").length;

describe("MSI-X", () => {
  test("an interrupt of the device arrives with the guest's message and requester ID", () => {
    using guest = ready(device(4), { attach: { requesterId: 0x0108 } });
    writeVector(guest.device, guest.table, 2, 0x4021);
    guest.device.configWrite(control, 2, enable);
    guest.recorded.raise(2, 2);
    expect(guest.platform.deliver()).toEqual([
      {
        group: expect.any(Number),
        vector: 2,
        requesterId: 0x0108,
        message: { addressLow: 0xfee00000, addressHigh: 0, data: 0x4021, requesterId: 0x0108 },
      },
    ]);
  });

  test("defect 43: the control register takes writes of every width", () => {
    for (const write of [
      (guest: Attached) => guest.device.configWrite(control, 2, enable),
      (guest: Attached) => guest.device.configWrite(at.msix, 4, enable * 0x10000),
      (guest: Attached) => guest.device.configWrite(control + 1, 1, enable >>> 8),
    ]) {
      using guest = ready(device(4));
      write(guest);
      expect(guest.device.configRead(control, 2)).toBe(enable | 3);
      expect(guest.device.describe().interrupts.mode).toBe("MSI-X");
    }
  });

  test("the control write never reaches the device: the host owns its register", () => {
    using guest = ready(device(4));
    const before = guest.backend.counts.configWrites;
    guest.device.configWrite(control, 2, enable);
    expect(guest.backend.counts.configWrites).toBe(before);
  });

  test("defect 51: one request enables, for the vectors in use alone", () => {
    using guest = ready(device(64, { noResize: true }));
    writeVector(guest.device, guest.table, 5, 1);
    const before = guest.backend.irqRequests.length;
    guest.device.configWrite(control, 2, enable);
    const requests = guest.backend.irqRequests.slice(before).filter(({ index }) => index === 2);
    expect(requests).toHaveLength(1);
    const { data } = requests[0]!;
    expect(data.kind === "eventfd" && data.fds.map((fd) => fd >= 0)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
    expect([routes(guest), irqfds(guest)]).toEqual([[5], [5]]);
  });

  test("a host that adds vectors gives those in use alone, and none below them", () => {
    const few = (call: Call): boolean =>
      call.kind === "irqs" && call.request.data.kind === "eventfd" && call.request.data.fds.length > 1;
    using guest = ready(device(256), { prepare: (backend: WatchedBackend) => void (backend.fails = few) });
    writeVector(guest.device, guest.table, 255, 0x41);
    guest.device.configWrite(control, 2, enable);
    expect(guest.device.configRead(control, 2)).toBe(enable | 255);
    guest.recorded.raise(IrqIndex.msix, 255);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual([0x41]);
    expect(guest.events).toEqual([]);
  });

  test("a masked vector is not pending because others go off and on", () => {
    using guest = ready(device(8, { noResize: true }));
    const mask = (masked: number): boolean => guest.device.mmioWrite(guest.table + 12, bytesOf(masked, 4));
    guest.device.configWrite(control, 2, enable);
    writeVector(guest.device, guest.table, 0, 0x40);
    mask(1);
    writeVector(guest.device, guest.table, 3, 0x43);
    expect(mmioRead(guest.device, guest.pba, 8)).toBe(0);
    guest.platform.deliver();
    mask(0);
    expect(guest.platform.deliver()).toEqual([]);
  });

  test("enabled with every vector masked, the device has no eventfd, and INTx is off", () => {
    using guest = ready(device(4));
    guest.device.configWrite(control, 2, enable | functionMask);
    expect(guest.backend.irqRequests.at(-1)).toEqual({
      index: 2,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: [-1] },
    });
    expect(guest.device.describe().interrupts).toMatchObject({ mode: "MSI-X", routed: [] });
  });

  test("a vector that comes into use later is armed alone where the host can grow", () => {
    using guest = ready(device(8));
    guest.device.configWrite(control, 2, enable);
    const before = guest.backend.irqRequests.length;
    writeVector(guest.device, guest.table, 6, 1);
    expect(guest.backend.irqRequests.slice(before)).toMatchObject([{ index: 2, start: 6 }]);
    expect(routes(guest)).toEqual([6]);
  });

  test("where it cannot, all vectors are requested again, in powers of two", () => {
    using guest = ready(device(64, { noResize: true }));
    guest.device.configWrite(control, 2, enable);
    const before = guest.backend.irqRequests.length;
    for (let vector = 0; vector < 33; vector++) writeVector(guest.device, guest.table, vector, vector);
    const starts = guest.backend.irqRequests
      .slice(before)
      .filter(({ data }) => data.kind === "eventfd" && data.fds.length > 1);
    expect(starts.map(({ data }) => data.kind === "eventfd" && data.fds.length)).toEqual([
      2, 4, 8, 16, 32, 64,
    ]);
    expect(routes(guest)).toHaveLength(33);
    // Each time round an event may have been lost, so one more is delivered: it does no harm.
    guest.platform.deliver();
    guest.recorded.raise(2, 0);
    guest.recorded.raise(2, 32);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([0, 32]);
  });

  test("defect 50: one routing update a guest write, however many vectors it changes", () => {
    for (const vectors of [1, 16, 257, 2048]) {
      using guest = ready(device(vectors));
      guest.device.configWrite(control, 2, enable | functionMask);
      for (let vector = 0; vector < vectors; vector++) writeVector(guest.device, guest.table, vector, vector);
      const before = routingUpdates(guest);
      guest.device.configWrite(control, 2, enable);
      expect(routingUpdates(guest) - before).toBe(1);
      expect(routes(guest)).toHaveLength(vectors);
    }
  });

  test("defect 41: a masked vector has neither route nor irqfd", () => {
    using guest = ready(device(4));
    writeVector(guest.device, guest.table, 0, 1);
    writeVector(guest.device, guest.table, 1, 2, true);
    guest.device.configWrite(control, 2, enable);
    expect([routes(guest), irqfds(guest)]).toEqual([[0], [0]]);
  });

  test("defect 44: a masked vector does not interrupt, shows in the PBA, and is delivered when unmasked", () => {
    using guest = ready(device(4));
    writeVector(guest.device, guest.table, 1, 7);
    guest.device.configWrite(control, 2, enable);
    guest.device.mmioWrite(guest.table + 16 + 12, bytesOf(1, 4));
    guest.recorded.raise(2, 1);
    expect(guest.platform.deliver()).toEqual([]);
    expect(mmioRead(guest.device, guest.pba, 8)).toBe(0b10);
    guest.device.mmioWrite(guest.pba, bytesOf(0, 8));
    expect(mmioRead(guest.device, guest.pba, 1)).toBe(0b10);
    guest.device.mmioWrite(guest.table + 16 + 12, bytesOf(0, 4));
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([1]);
    expect(mmioRead(guest.device, guest.pba, 8)).toBe(0);
  });

  test("defect 44: the function mask holds all vectors back and gives them free", () => {
    using guest = ready(device(4));
    for (const vector of [0, 3]) writeVector(guest.device, guest.table, vector, vector);
    guest.device.configWrite(control, 2, enable);
    guest.device.configWrite(control, 2, enable | functionMask);
    guest.recorded.raise(2, 0);
    guest.recorded.raise(2, 3);
    expect([guest.platform.deliver(), mmioRead(guest.device, guest.pba, 4)]).toEqual([[], 0b1001]);
    guest.device.configWrite(control, 2, enable);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([0, 3]);
  });

  test("defect 45: the table takes accesses of any width and alignment", () => {
    using guest = ready(device(4));
    guest.device.mmioWrite(guest.table, bytesOf(0x1_2345_6788, 8));
    guest.device.mmioWrite(guest.table + 9, bytesOf(0xab, 1));
    guest.device.mmioWrite(guest.table + 10, bytesOf(0xcdef, 2));
    expect(mmioRead(guest.device, guest.table, 8)).toBe(0x1_2345_6788);
    expect(mmioRead(guest.device, guest.table + 8, 4)).toBe(0xcdefab00);
    expect(mmioRead(guest.device, guest.table + 7, 3)).toBe(0xab0000);
    expect(mmioRead(guest.device, guest.table + 12, 1)).toBe(1);
    // Address bits 1:0 and the reserved bits of the vector control are read-only.
    guest.device.mmioWrite(guest.table, bytesOf(0xffffffff, 4));
    guest.device.mmioWrite(guest.table + 12, bytesOf(0xfffffffe, 4));
    expect([mmioRead(guest.device, guest.table, 4), mmioRead(guest.device, guest.table + 12, 4)]).toEqual([
      0xfffffffc, 0,
    ]);
  });

  test("defect 54: an access across the end of the table is split, and the device gets its part alone", () => {
    using guest = ready(device(4));
    const calls = guest.backend.calls.length;
    guest.device.mmioWrite(guest.table - 2, bytesOf(0x11223344, 4));
    expect(guest.backend.calls.slice(calls)).toEqual([
      { kind: "write", region: 0, offset: 0x10000 - 2, size: 2 },
    ]);
    expect(mmioRead(guest.device, guest.table, 2)).toBe(0x1120);
    expect(mmioRead(guest.device, guest.table + 4 * 16 - 4, 8)! % 2 ** 32).toBe(1);
  });

  test("the device sees no access to the table, no write of the PBA, and one read of it for each read", () => {
    using guest = ready(device(4));
    const before = guest.backend.calls.length;
    writeVector(guest.device, guest.table, 0, 5);
    mmioRead(guest.device, guest.table, 4);
    guest.device.mmioWrite(guest.pba, bytesOf(1, 8));
    expect(guest.backend.calls.slice(before)).toEqual([]);
    mmioRead(guest.device, guest.pba, 8);
    expect(guest.backend.calls.slice(before)).toEqual([
      { kind: "read", region: 0, offset: 0x18000, size: 8 },
    ]);
  });

  test("defect 46: where the host refuses, the guest reads that MSI-X is off and keeps INTx", () => {
    using guest = ready(device(4));
    guest.backend.fails = (call) => call.kind === "irqs" && call.request.index === 2;
    guest.device.configWrite(control, 2, enable);
    expect(guest.device.configRead(control, 2)).toBe(3);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
    expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
    guest.backend.fails = () => false;
    guest.device.configWrite(control, 2, enable);
    expect(guest.device.describe().interrupts.mode).toBe("MSI-X");
  });

  test("a vector that the host does not have is not offered, and the others work", () => {
    using guest = ready(device(8, { available: 4 }));
    expect(guest.device.configRead(control, 2)).toBe(3);
    for (const vector of [1, 6]) writeVector(guest.device, guest.table, vector, vector);
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual([1]);
    expect(guest.events).toEqual([]);
  });

  test("defect 49: a full routing table is reported, nothing leaks, and what fits is delivered", () => {
    using guest = ready(device(8), { platform: { maxRoutes: 3 } });
    for (let vector = 0; vector < 5; vector++) writeVector(guest.device, guest.table, vector, vector);
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual([0, 1, 2]);
    expect(guest.eventsOf("interrupt-failed").length).toBeGreaterThan(0);
    guest.device.mmioWrite(guest.table + 12, bytesOf(1, 4));
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toContain(3);
  });

  test("a host that refuses to grow keeps the vectors it has, and nothing is routed that is not armed", () => {
    using guest = ready(device(64, { noResize: true }));
    guest.device.configWrite(control, 2, enable);
    writeVector(guest.device, guest.table, 0, 1);
    const larger = (call: Call): boolean =>
      call.kind === "irqs" && call.request.data.kind === "eventfd" && call.request.data.fds.length > 1;
    guest.backend.fails = larger;
    writeVector(guest.device, guest.table, 9, 2);
    expect(routes(guest)).toEqual([0]);
    guest.recorded.raise(2, 0);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([0]);
    // Not even what it had: the guest reads that MSI-X is off, and has INTx again.
    guest.backend.fails = (call) =>
      call.kind === "irqs" && call.request.index === 2 && call.request.data.kind === "eventfd";
    writeVector(guest.device, guest.table, 9, 3);
    expect(guest.device.configRead(control, 2) & enable).toBe(0);
    expect([routes(guest), guest.device.describe().interrupts.mode]).toEqual([[], "INTx"]);
    guest.backend.fails = () => false;
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual([0, 9]);
  });

  test("an event that comes while vectors are requested again is not lost", () => {
    using guest = ready(device(8, { noResize: true }));
    writeVector(guest.device, guest.table, 0, 1);
    guest.device.configWrite(control, 2, enable);
    guest.backend.fails = (call) => {
      // Between off and on: nobody listens.
      if (call.kind === "irqs" && call.request.data.kind === "eventfd") guest.recorded.raise(2, 0);
      return false;
    };
    writeVector(guest.device, guest.table, 5, 2);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toContain(0);
  });

  test("a vector whose withdrawal failed is armed again with the others", () => {
    using guest = ready(device(4));
    writeVector(guest.device, guest.table, 0, 1);
    guest.device.configWrite(control, 2, enable);
    const mend = guest.platform.failOn(({ kind }) => kind === "irqfd-off");
    guest.device.configWrite(control, 2, 0);
    mend();
    guest.device.configWrite(control, 2, enable);
    guest.recorded.raise(2, 0);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([0]);
  });

  test("what waited before a function reset does not arrive after it", () => {
    using guest = ready({ ...device(4), pcie: true });
    writeVector(guest.device, guest.table, 1, 7);
    guest.device.configWrite(control, 2, enable);
    guest.device.mmioWrite(guest.table + 16 + 12, bytesOf(1, 4));
    guest.recorded.raise(2, 1);
    guest.device.configWrite(at.pcie + 8, 2, 0x8000);
    guest.device.configWrite(0x10, 4, 0xd0000000);
    guest.device.configWrite(0x04, 2, memory);
    expect(mmioRead(guest.device, 0xd0018000, 8)).toBe(0);
    writeVector(guest.device, 0xd0010000, 1, 0x99);
    guest.device.configWrite(control, 2, enable);
    expect(guest.platform.deliver()).toEqual([]);
  });

  test("a routing table with room for few costs a few updates and one event, not one a vector", () => {
    using guest = ready(device(2048), { platform: { maxRoutes: 16 } });
    guest.device.configWrite(control, 2, enable | functionMask);
    for (let vector = 0; vector < 2048; vector++) writeVector(guest.device, guest.table, vector, vector);
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toHaveLength(16);
    expect(routingUpdates(guest)).toBeLessThan(30);
    expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
    expect(guest.events[0]?.message).toContain("2032 of 2048");
  });

  test("disabling withdraws the routes before the host frees the vectors, and brings INTx back", () => {
    using guest = ready(device(4));
    writeVector(guest.device, guest.table, 0, 1);
    guest.device.configWrite(control, 2, enable);
    let routed: number[] | undefined;
    guest.backend.fails = (call) => {
      if (call.kind === "irqs" && call.request.index === 2) routed = routes(guest);
      return false;
    };
    guest.device.configWrite(control, 2, 0);
    expect(routed).toEqual([]);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
  });

  test("defect 2: what the host has no vectors for is hidden", () => {
    using guest = attach(device(4, { available: 0 }));
    expect(guest.device.configRead(0x34, 1)).toBe(0);
    expect(guest.device.configRead(0x06, 2) & 0x10).toBe(0);
    expect(guest.device.configRead(at.msix, 4)).toBe(0);
    expect(guest.device.describe().msix).toBeUndefined();
  });

  test.each([
    ["outside of its BAR", { table: [0, 0x1fff8] as const }],
    ["in a BAR that is not there", { table: [2, 0] as const }],
    ["in BAR 7", { table: [7, 0] as const }],
  ])("a table %s hides the capability and says why", (_, change) => {
    using guest = attach(device(4, change));
    expect(guest.device.describe().msix).toBeUndefined();
    expect(guest.eventsOf("msix")).toHaveLength(1);
  });

  test("an enable that fails keeps no eventfd, and one that a vector got for nothing is closed too", () => {
    const open = ({ platform }: Attached): number =>
      platform.actionsOf("eventfd-create").length - platform.actionsOf("eventfd-close").length;
    const refused = (call: Call): boolean => call.kind === "irqs" && call.request.index === 2;
    using guest = ready(device(8));
    for (let vector = 0; vector < 7; vector++) writeVector(guest.device, guest.table, vector, vector);
    guest.backend.fails = refused;
    guest.device.configWrite(control, 2, enable);
    expect([guest.device.configRead(control, 2) & enable, open(guest)]).toEqual([0, 0]);
    expect(guest.platform.actionsOf("eventfd-create")).toHaveLength(7);
    guest.backend.fails = () => false;
    guest.device.configWrite(control, 2, enable);
    expect(open(guest)).toBe(7);
    guest.backend.fails = refused;
    writeVector(guest.device, guest.table, 7, 7);
    expect(open(guest)).toBe(7);
    guest.backend.fails = () => false;
    writeVector(guest.device, guest.table, 7, 7, true);
    writeVector(guest.device, guest.table, 7, 7);
    expect(open(guest)).toBe(8);
    guest.recorded.raise(2, 7);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([7]);
  });
});

describe("MSI-X relocation", () => {
  const kioxia: SyntheticDevice = {
    bars: { 0: { size: 0x10000, kind: "memory64" } },
    msix: { vectors: 32, table: [0, 0x5200], pba: [0, 0xd600] },
  };

  /** Of so many bytes each. */
  const windows = (size: number) => ({
    windows: { mmio32: { base: 0xc0000000, size }, mmio64: { base: 2 ** 40, size } },
  });

  test("defect 28: all of the device's BAR is mapped, the table is trapped in the half added to it", () => {
    using guest = ready(kioxia);
    const base = guest.device.describe().bars[0]!.base!;
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x10000);
    expect(guest.device.configRead(at.msix + 8, 4)).toBe(0x11000);
    expect(guest.platform.state().slots).toMatchObject([{ gpa: base, size: 0x10000 }]);
    expect(guest.platform.state().trapped).toMatchObject([{ base, size: 0x20000 }]);
    writeVector(guest.device, base + 0x10000, 3, 9);
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual([3]);
  });

  test("defect 32: the PBA is read where the device has it, and addresses behind the device's end never reach it", () => {
    using guest = ready(kioxia);
    const base = guest.device.describe().bars[0]!.base!;
    const before = guest.backend.calls.length;
    expect(mmioRead(guest.device, base + 0x11000, 4)).toBe(0);
    expect(mmioRead(guest.device, base + 0x1f000, 4)).toBe(0xffffffff);
    guest.device.mmioWrite(base + 0x1f000, bytesOf(1, 4));
    expect(guest.backend.calls.slice(before)).toEqual([{ kind: "read", region: 0, offset: 0xd600, size: 4 }]);
  });

  test("never: the shared page is trapped instead", () => {
    using guest = ready(kioxia, { attach: { msixRelocation: "never" } });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x5200);
    expect(guest.platform.state().slots.map(({ size }) => size)).toEqual([0x5000, 0x7000, 0x2000]);
  });

  test("where the larger BAR gets no address, the table stays, and an event says so", () => {
    // Room for the device's own BAR, not for twice as much.
    using guest = ready(kioxia, { platform: windows(0x10000) });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x5200);
    expect(guest.platform.state().slots.map(({ size }) => size)).toEqual([0x5000, 0x7000, 0x2000]);
    expect(guest.eventsOf("msix").map(({ message }) => message)).toEqual([
      "no guest address for a larger BAR0: the MSI-X table stays where it is: 0000:01:00.0: no guest addresses left for BAR0 (0x20000 bytes, memory64); the device needs BAR0 memory64 0x20000, each aligned to its size",
    ]);
    writeVector(guest.device, guest.device.describe().bars[0]!.base! + 0x5200, 3, 9);
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual([3]);
  });

  test("where no size gets an address, attach says what the device itself needs; always is not given up", () => {
    expect(() => attach(kioxia, { platform: windows(0x8000) })).toThrow("BAR0 (0x10000 bytes");
    const always = { msixRelocation: "always" } as const;
    expect(() => attach(kioxia, { platform: windows(0x10000), attach: always })).toThrow(
      "BAR0 (0x20000 bytes",
    );
  });

  test("a BAR that stays trapped is not made larger for its mapping", () => {
    using guest = ready(kioxia, { attach: { excludeFromMapping: [0] } });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x5200);
  });

  test("always: the table moves although nothing is gained; where the BAR cannot grow, attach is refused", () => {
    const own = { ...kioxia, msix: { vectors: 32, table: [0, 0x5000], pba: [0, 0xd000] } } as const;
    using plain = ready(own);
    expect(plain.device.describe().msix!.relocated).toBe(false);
    using guest = ready(own, { attach: { msixRelocation: "always" } });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x10000);
    const large = { ...own, bars: { 0: { size: 2 ** 33, kind: "memory64" } } } as const;
    expect(() => attach(large, { attach: { msixRelocation: "always" } })).toThrow(RangeError);
  });

  test("always, where the host keeps the table's page: the rest of the BAR is mapped", () => {
    const kept = {
      ...kioxia,
      bars: { 0: { size: 0x10000, kind: "memory64", msixMappable: false } },
    } as const;
    using guest = ready(kept, { attach: { msixRelocation: "always" } });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x10000);
    expect(guest.platform.state().slots.map(({ size }) => size)).toEqual([0x5000, 0xa000]);
    expect(guest.eventsOf("area-trapped")).toEqual([]);
  });

  test("a restored device has its table where the guest found it, whatever this host would choose", () => {
    const registers = ({ device }: Attached): number[] => [
      device.configRead(at.msix + 4, 4),
      device.configRead(at.msix + 8, 4),
      device.describe().bars[0]!.size,
    ];
    const here = [{}, { attach: { msixRelocation: "never" as const } }, { platform: windows(0x10000) }];
    // Nothing is gained on these: another page size, a host that keeps the table, a VMM that wants the BAR trapped.
    const there = [
      {},
      { platform: { pageSize: 0x10000 } },
      { attach: { excludeFromMapping: [0] } },
      { attach: { msixRelocation: "never" as const } },
      { attach: { msixRelocation: "always" as const } },
    ];
    for (const one of here)
      for (const other of there) {
        using first = ready(kioxia, one);
        const snapshot: unknown = JSON.parse(JSON.stringify(first.device.snapshot()));
        using second = attach(kioxia, { ...other, snapshot });
        expect(registers(second)).toEqual(registers(first));
      }
  });

  test("defect 31: a BAR of 8 GiB keeps its table where it is", () => {
    using guest = ready({ ...kioxia, bars: { 0: { size: 2 ** 33, kind: "memory64" } } });
    expect(guest.device.configRead(at.msix + 4, 4)).toBe(0x5200);
    expect(guest.device.describe().bars[0]!.size).toBe(2 ** 33);
  });
});

describe("a PBA that lies nowhere costs the pending bits of the device, not MSI-X", () => {
  // A virtual function's: it has no INTx to fall back to.
  const virtualFunction = (pba: [bar: number, offset: number]): SyntheticDevice => ({
    bars: { 4: { size: 0x2000, kind: "memory64" }, 2: { size: 0x20, kind: "io" } },
    pin: 0,
    pcie: true,
    msix: { vectors: 8, table: [4, 0], pba },
  });
  const places: [where: string, pba: [bar: number, offset: number]][] = [
    ["past its BAR", [4, 0x8000]],
    ["in a BAR that the device has not", [0, 0]],
    ["in the second half of a BAR", [5, 0]],
    ["in a BAR of I/O ports", [2, 0]],
    ["over the table", [4, 0x40]],
    ["over the table's end", [4, 0x78]],
    ["at the table", [4, 0]],
    ["behind the last byte of its BAR", [4, 0x2000]],
    ["at the end of what a register can name", [4, 0xfffffff8]],
  ];
  test.each(places)("%s", (_, pba) => {
    using guest = attach(virtualFunction(pba));
    guest.device.configWrite(0x04, 2, memory);
    const { guest: place, relocated } = guest.device.describe().msix!;
    const bar = guest.device.describe().bars.find(({ region }) => region === 4)!.base!;
    expect([relocated, guest.eventsOf("msix").length]).toEqual([true, 1]);
    writeVector(guest.device, bar + place.table.offset, 1, 0x41);
    guest.device.configWrite(control, 2, enable);
    guest.recorded.raise(IrqIndex.msix, 1);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual([0x41]);
    const pending = (): number | undefined => mmioRead(guest.device, bar + place.pba.offset, 8);
    expect(pending()).toBe(0);
    guest.device.mmioWrite(bar + place.table.offset + 16 + 12, bytesOf(1, 4));
    guest.recorded.raise(IrqIndex.msix, 1);
    expect(pending()).toBe(2);
    expect(guest.device.snapshot().interrupts.msix).toMatchObject({ pending: [1] });
  });

  test("over the table where both stay: every byte of the table is the table's, whatever the access", () => {
    using guest = attach(
      { bars: { 4: { size: 0x2000 } }, msix: { vectors: 128, table: [4, 0x1000], pba: [4, 0xff8] } },
      { attach: { msixRelocation: "never" } },
    );
    guest.device.configWrite(0x04, 2, memory);
    const bar = guest.device.describe().bars.find(({ region }) => region === 4)!.base!;
    writeVector(guest.device, bar + 0x1000, 0, 0x41);
    expect(mmioRead(guest.device, bar + 0xffc, 8)).toBe(0xfee00000 * 2 ** 32);
  });

  test("of which the guest hears nothing where the BAR cannot grow, or must not", () => {
    using guest = attach(virtualFunction([4, 0x8000]), { attach: { msixRelocation: "never" } });
    guest.device.configWrite(0x04, 2, memory);
    const bar = guest.device.describe().bars.find(({ region }) => region === 4)!.base!;
    writeVector(guest.device, bar, 1, 0x41);
    guest.device.configWrite(control, 2, enable);
    guest.recorded.raise(IrqIndex.msix, 1);
    expect(guest.platform.deliver()).toHaveLength(1);
  });
});

describe("what the platform refuses", () => {
  const started = (vectors: number): Attached & { table: number } => {
    const guest = ready(device(vectors));
    for (let vector = 0; vector < vectors; vector++)
      writeVector(guest.device, guest.table, vector, 0x40 + vector);
    return guest;
  };

  test.each([0, 1, 3])("vector %d alone keeps no other from being routed", (refused) => {
    using guest = started(4);
    guest.platform.failOn((action) => action.kind === "irqfd-on" && action.vector === refused);
    guest.device.configWrite(control, 2, enable);
    expect(guest.device.describe().interrupts.routed).toEqual(
      [0, 1, 2, 3].filter((vector) => vector !== refused),
    );
    expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
  });

  test("a withdrawal that fails is made up for at the guest's next write to the table, masked or not", () => {
    using guest = started(4);
    guest.device.configWrite(control, 2, enable);
    const mend = guest.platform.failOn((action) => action.kind === "irqfd-off" && action.vector === 2);
    guest.device.configWrite(control, 2, enable | functionMask);
    expect(routes(guest)).toEqual([2]);
    mend();
    guest.device.mmioWrite(guest.table + 12, bytesOf(1, 4));
    expect(routes(guest)).toEqual([]);
  });

  test("a full table costs a few updates, however many vectors do not fit", () => {
    using guest = ready(device(512), { platform: { maxRoutes: 16 } });
    for (let vector = 0; vector < 512; vector++) writeVector(guest.device, guest.table, vector, vector);
    const before = guest.platform.actions.length;
    guest.device.configWrite(control, 2, enable);
    expect(routes(guest)).toEqual(Array.from({ length: 16 }, (_, vector) => vector));
    expect(
      guest.platform.actions.slice(before).filter(({ kind }) => kind === "set-routing").length,
    ).toBeLessThan(32);
  });
});
