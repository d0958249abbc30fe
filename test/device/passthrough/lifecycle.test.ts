import { describe, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import {
  attach,
  bytesOf,
  memory,
  mmioRead,
  WatchedBackend,
  writeVector,
  type Attached,
  type Call,
} from "../../support/attached.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";

const full: SyntheticDevice = {
  bars: { 0: { size: 0x4000, kind: "memory64" }, 2: { size: 0x20, kind: "io" }, 3: { size: 0x1000 } },
  romSize: 0x1000,
  msi: { log2: 2, wide: true, maskable: true },
  msix: { vectors: 8, table: [0, 0x2000], pba: [0, 0x3000] },
  pm: true,
  pcie: true,
  extended: [0x01, 0x10],
};

/** Drives a device into a state that has a bit of everything. */
function busy({ device }: Attached): void {
  device.configWrite(0x10, 4, 0xd0000000);
  device.configWrite(0x14, 4, 0);
  device.configWrite(0x3c, 1, 11);
  device.configWrite(at.pcie + 8, 2, 0x2000);
  device.configWrite(0x04, 2, 7);
  const table = 0xd0000000 + 0x2000;
  for (let vector = 0; vector < 4; vector++) writeVector(device, table, vector, 0x40 + vector, vector === 2);
  device.configWrite(at.msix + 2, 2, 0x8000);
}

describe("teardown", () => {
  test("defect 37: everything is withdrawn once, interrupts before memory, the backend last; twice is safe", () => {
    const guest = attach(full);
    busy(guest);
    const calls = guest.backend.calls.length;
    guest.platform.clearRecord();
    guest.device[Symbol.dispose]();
    guest.device[Symbol.dispose]();
    const kinds = guest.platform.actions.map(({ kind }) => kind);
    expect(kinds.lastIndexOf("msi-close")).toBeLessThan(kinds.indexOf("slot-remove"));
    expect(kinds.indexOf("dma-unmap")).toBeLessThan(kinds.indexOf("slot-remove"));
    expect(guest.platform.leaks()).toEqual([]);
    const after = guest.backend.calls.slice(calls);
    // Bus mastering goes first: no DMA into memory that is being taken away.
    expect(after[0]).toEqual({ kind: "write", region: 7, offset: 4, size: 2 });
    expect(after.filter(({ kind }) => kind === "close")).toHaveLength(1);
    expect(after.at(-1)).toEqual({ kind: "close" });
    expect(() => guest.device.describe()).toThrow("is closed");
    guest.platform[Symbol.dispose]();
  });

  test("a device that is gone can be detached: nothing leaks, every failure is an event", () => {
    const guest = attach(full);
    busy(guest);
    guest.backend.fails = (call) => call.kind !== "close";
    guest.device[Symbol.dispose]();
    expect(guest.platform.leaks()).toEqual([]);
    expect(guest.events.length).toBeGreaterThan(0);
    guest.platform[Symbol.dispose]();
  });

  test("one kind of interrupts that cannot be given back keeps no other", () => {
    const guest = attach({ ...full, pin: 1 });
    guest.platform.failNext("msi-close");
    guest.device[Symbol.dispose]();
    expect(
      guest.platform.leaks().filter((line) => line.startsWith("MSI") || line.startsWith("INTx")),
    ).toHaveLength(1);
    expect(guest.eventsOf("teardown")).toHaveLength(1);
    guest.platform[Symbol.dispose]();
  });

  test("defects 12 and 62: whatever call of attach fails, nothing is left behind and the backend is closed", () => {
    const count = (): number => {
      using guest = attach(full);
      return guest.backend.calls.length;
    };
    const calls = count();
    let failed = 0;
    for (let n = 0; n < calls; n++) {
      const platform = new MemoryPlatform();
      const backend = new WatchedBackend(new RecordedDevice(syntheticImage(full)));
      let i = 0;
      backend.fails = () => i++ === n;
      try {
        VfioPciDevice.attach(backend, platform)[Symbol.dispose]();
      } catch {
        failed++;
      }
      expect(backend.calls.filter(({ kind }) => kind === "close")).toHaveLength(1);
      expect(platform.leaks()).toEqual([]);
      platform[Symbol.dispose]();
    }
    expect(failed).toBeGreaterThan(3);
  });

  test.each(["msi-create", "intx-create", "address-allocate", "intx-connect"] as const)(
    "defect 62: a platform that fails at %s leaves nothing behind",
    (kind) => {
      for (let n = 0; n < 4; n++) {
        const platform = new MemoryPlatform();
        const backend = new WatchedBackend(new RecordedDevice(syntheticImage(full)));
        let i = 0;
        const end = platform.failOn((action) => action.kind === kind && i++ === n);
        try {
          VfioPciDevice.attach(backend, platform)[Symbol.dispose]();
        } catch {
          // Refused as a whole.
        }
        end();
        expect(platform.leaks()).toEqual([]);
        expect(backend.calls.filter((call: Call) => call.kind === "close")).toHaveLength(1);
        platform[Symbol.dispose]();
      }
    },
  );

  test("a device that reads all ones, is a bridge, or has no config space is refused with a reason", () => {
    const patch = (change: (config: Uint8Array) => void): SyntheticDevice => ({ ...full, patch: change });
    expect(() => attach(patch((config) => void config.fill(0xff)))).toThrow("all ones");
    expect(() => attach(patch((config) => void (config[0x0e] = 1)))).toThrow("header type 1");
    const { regions, ...rest } = syntheticImage(full);
    expect(() => attach({ ...rest, regions: regions.filter(({ index }) => index !== 7) })).toThrow(
      "config space has 0",
    );
  });

  test("defect 25: two devices share a platform, and each keeps to its own", () => {
    using first = attach(full);
    const platform = first.platform;
    const second = VfioPciDevice.attach(new RecordedDevice(syntheticImage(full)), platform);
    first.device.configWrite(0x04, 2, memory);
    second.configWrite(0x04, 2, memory);
    const bases = platform.state().trapped.map(({ base }) => base);
    expect(new Set(bases).size).toBe(4);
    const theirs = second.describe().bars[0]!.base!;
    expect(mmioRead(first.device, theirs, 4)).toBeUndefined();
    second[Symbol.dispose]();
    expect(platform.state().trapped).toHaveLength(2);
  });
});

describe("snapshots", () => {
  const view = (guest: Attached): unknown => ({
    config: Array.from({ length: guest.device.configSize / 4 }, (_, i) => guest.device.configRead(4 * i, 4)),
    routes: guest.platform.state().routes.map(({ vector, message }) => [vector, message]),
    trapped: guest.platform.state().trapped,
    slots: guest.platform.state().slots.map(({ gpa, size }) => [gpa, size]),
    bars: guest.device.describe().bars.map(({ address, base }) => [address, base]),
    mode: guest.device.describe().interrupts.mode,
    table: Array.from({ length: 32 }, (_, i) => mmioRead(guest.device, 0xd0002000 + 4 * i, 4)),
  });

  test("defects 9, 17, 18 and 63: a restored device is in no way different to the guest", () => {
    using guest = attach(full, { attach: { requesterId: 0x20, hide: [0x01] } });
    busy(guest);
    guest.recorded.raise(2, 2);
    const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
    using back = attach(full, { snapshot, attach: { requesterId: 0x20 } });
    expect(view(back)).toEqual(view(guest));
    expect(back.device.snapshot()).toEqual(guest.device.snapshot());
    // The event of the masked vector waited through it.
    expect(mmioRead(back.device, 0xd0003000, 1)).toBe(0b100);
    back.device.mmioWrite(0xd0002000 + 2 * 16 + 12, bytesOf(0, 4));
    expect(back.platform.deliver().map(({ vector }) => vector)).toEqual([2]);
    back.recorded.raise(2, 1);
    expect(back.platform.deliver().map(({ message }) => message.data)).toEqual([0x41]);
  });

  test("MSI with masked and pending vectors comes back, and so does a sleeping device", () => {
    using guest = attach(full);
    guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
    guest.device.configWrite(at.msi + 12, 2, 0x30);
    guest.device.configWrite(at.msi + 2, 2, 0x21);
    guest.device.configWrite(at.msi + 16, 4, 0b10);
    guest.recorded.raise(1, 1);
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.pm + 4, 2, 3);
    using back = attach(full, { snapshot: guest.device.snapshot() });
    expect(view(back)).toEqual(view(guest));
    expect(back.device.configRead(at.msi + 20, 4)).toBe(0b10);
    expect(back.platform.state().slots).toEqual([]);
    back.device.configWrite(at.pm + 4, 2, 0);
    expect(back.platform.state().slots.length).toBeGreaterThan(0);
  });

  test("of two BARs at one address the same one decodes after a restore, where the device slept too", () => {
    const two: SyntheticDevice = { bars: { 1: { size: 0x1000 } }, romSize: 0x1000, pm: true };
    const place = 0xd0000000;
    using guest = attach(two);
    guest.device.configWrite(0x30, 4, place); // off: it has the address first
    guest.device.configWrite(0x14, 4, place);
    guest.device.configWrite(at.pm + 4, 2, 3);
    guest.device.configWrite(0x04, 2, memory);
    using back = attach(two, { snapshot: guest.device.snapshot() });
    expect(back.device.snapshot()).toEqual(guest.device.snapshot());
    const wake = ({ device }: Attached): unknown => {
      device.configWrite(0x30, 4, place + 1);
      device.configWrite(at.pm + 4, 2, 0);
      return [device.describe().bars.map(({ name, base }) => [name, base]), device.configRead(0x04, 2)];
    };
    expect(wake(back)).toEqual(wake(guest));
  });

  test("a device's own state goes with the snapshot, and comes before everything else", () => {
    const own = (backend: WatchedBackend, state: { value: unknown }): void =>
      void Object.defineProperty(backend, "ownState", {
        value: { save: () => state.value, restore: (saved: unknown) => void (state.value = saved) },
      });
    const before = { value: { queues: [1, 2] } as unknown };
    using guest = attach(full, { prepare: (backend) => own(backend, before) });
    const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
    const after = { value: undefined as unknown };
    using _ = attach(full, { snapshot, prepare: (backend) => own(backend, after) });
    expect(after.value).toEqual({ queues: [1, 2] });
  });

  test("a snapshot of a device that does not decode asks nothing of it that it cannot answer", () => {
    using guest = attach(full);
    guest.device.snapshot();
    expect(guest.events).toEqual([]);
  });

  test("a restored BAR keeps its prefetchable bit, the ROM its enable bit", () => {
    const device: SyntheticDevice = {
      bars: { 0: { size: 0x1000, kind: "memory64", prefetchable: true } },
      romSize: 0x800,
    };
    using guest = attach(device);
    guest.device.configWrite(0x30, 4, 0xd0000001);
    guest.device.configWrite(0x04, 2, memory);
    using back = attach(device, { snapshot: guest.device.snapshot() });
    expect(back.device.configRead(0x10, 4) & 0xf).toBe(0xc);
    expect(back.device.describe().bars[1]!.base).toBe(0xd0000000);
  });

  test("defect 12: a snapshot that is malformed, newer or of another device is refused with the place, and nothing leaks", () => {
    using guest = attach(full);
    const good = guest.device.snapshot();
    const { msix } = good.interrupts;
    const withRegister = (offset: number, value: number) => ({
      ...good,
      config: { registers: [{ offset, value }] },
    });
    const cases: [unknown, string][] = [
      [null, "the snapshot"],
      ["x", "the snapshot"],
      [{ ...good, version: 3 }, "version 3"],
      [{ ...good, version: 1 }, "version 1; this library reads version 2"],
      [{ ...good, decoding: { ...good.decoding, command: -1 } }, "decoding.command"],
      [withRegister(0x10, 1.5), "config.registers.0.value"],
      [withRegister(0x11, 1), "no register at 17"],
      [
        { ...good, interrupts: { ...good.interrupts, msix: { ...msix, table: "00" } } },
        "interrupts.msix.table",
      ],
      [
        { ...good, interrupts: { ...good.interrupts, msix: { ...msix, table: "00".repeat(16) } } },
        "MSI-X table has another size",
      ],
      [
        { ...good, interrupts: { ...good.interrupts, msi: { registers: [], pending: [] } } },
        "MSI capability has another size",
      ],
      [{ ...good, own: {} }, "a state of the device's own, which this device cannot take"],
      [{ ...good, extra: 1 }, "extra"],
      [{ ...good, device: { ...good.device, deviceId: 1 } }, "deviceId"],
    ];
    for (const [snapshot, message] of cases) {
      let platform: MemoryPlatform | undefined;
      let backend: WatchedBackend | undefined;
      const prepare = (made: WatchedBackend, on: MemoryPlatform): void =>
        void ([backend, platform] = [made, on]);
      expect(() => attach(full, { snapshot, prepare })).toThrow(message);
      expect(platform?.leaks()).toEqual([]);
      expect(backend?.calls.filter(({ kind }) => kind === "close")).toHaveLength(1);
    }
  });
});

describe("interrupts that the platform does not take back", () => {
  test.each(["msi-close", "intx-close"] as const)("%s: tried again by the next dispose", (kind) => {
    const guest = attach({ bars: { 0: { size: 0x1000 } }, msi: { log2: 0 } });
    guest.platform.failNext(kind);
    guest.device[Symbol.dispose]();
    expect([guest.device.closed, guest.device.released]).toEqual([true, false]);
    expect(guest.eventsOf("teardown")).toHaveLength(1);
    guest.device[Symbol.dispose]();
    expect([guest.device.released, guest.platform.leaks()]).toEqual([true, []]);
    guest[Symbol.dispose]();
  });

  test("at an attach that fails for another reason: that reason comes out, with its code", () => {
    const fail = (_: unknown, platform: MemoryPlatform): void => {
      platform.failOn(
        ({ kind }) => kind === "address-allocate" || kind === "msi-close" || kind === "intx-close",
      );
    };
    expect(() => attach({ bars: { 0: { size: 0x1000 } }, msi: { log2: 0 } }, { prepare: fail })).toThrow(
      expect.objectContaining({ code: "EIO", name: "VfioError" }),
    );
  });
});
