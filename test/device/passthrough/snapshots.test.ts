import { describe, expect, spyOn, test } from "bun:test";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import {
  attach,
  memory,
  mmioRead,
  writeVector,
  type Call,
  type WatchedBackend,
} from "../../support/attached.ts";
import type { DeviceSnapshot } from "../../../src/device/passthrough/snapshot.ts";
import { tryAttach } from "../../support/try-attach.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";
import { refusal } from "../../support/refusal.ts";

const device: SyntheticDevice = {
  bars: { 0: { size: 0x4000 } },
  msix: { vectors: 2, table: [0, 0x2000], pba: [0, 0x3000] },
  pm: true,
  pcie: true,
};

describe("a snapshot of a device that does not answer", () => {
  test("is refused: all ones of a failed read are no value of a register", () => {
    using guest = attach(device);
    guest.device.configWrite(at.pcie + 8, 2, 0x2000);
    guest.backend.fails = (call) => call.kind === "read" && call.offset === at.pcie + 8;
    const error = refusal(() => guest.device.snapshot());
    expect(error).toMatchObject({ code: "EIO", device: guest.device.name });
    expect(error.cause).toBeInstanceOf(VfioError);
    expect(guest.events).toEqual([]);
    // The guest's own reads are answered as ever.
    expect(guest.device.configRead(at.pcie + 8, 2)).toBe(0xffff);
    expect(guest.eventsOf("access-failed")).toHaveLength(1);
    guest.backend.fails = () => false;
    expect(guest.device.snapshot().config.registers).toContainEqual({ offset: at.pcie + 8, value: 0x2000 });
  });

  test("is refused: pending bits of a failed read are not none", () => {
    using guest = attach(device);
    guest.device.configWrite(0x04, 2, memory);
    guest.backend.fails = (call) => call.kind === "read" && call.region === 0;
    expect(refusal(() => guest.device.snapshot()).code).toBe("EIO");
  });

  test("is refused: a device that is gone answers all ones", () => {
    using guest = attach(device);
    const read = guest.backend.read.bind(guest.backend);
    guest.backend.read = (_region, _offset, data) => void data.fill(0xff);
    expect(refusal(() => guest.device.snapshot()).code).toBe("ENODEV");
    guest.backend.read = read;
    expect(guest.device.snapshot().version).toBe(2);
  });
});

test("a snapshot is refused where the platform cannot tell what is pending: that is not none", () => {
  let broken = false;
  using guest = attach(
    { ...device, msi: { log2: 0, wide: true, maskable: true } },
    {
      prepare: (_, { interrupts }) => {
        const create = interrupts.createMsiGroup.bind(interrupts);
        spyOn(interrupts, "createMsiGroup").mockImplementation((vectors) => {
          const group = create(vectors);
          const tell = group.pending.bind(group);
          group.pending = (vector) => {
            if (broken) throw new Error("no answer");
            return tell(vector);
          };
          return group;
        });
      },
    },
  );
  const bar = 0xd0000000;
  guest.device.configWrite(0x10, 4, bar);
  guest.device.configWrite(0x04, 2, memory);
  writeVector(guest.device, bar + 0x2000, 1, 0x41);
  guest.device.configWrite(at.msix + 2, 2, 0x8000);
  writeVector(guest.device, bar + 0x2000, 1, 0x41, true);
  guest.recorded.raise(IrqIndex.msix, 1);
  expect(guest.device.snapshot().interrupts.msix!.pending).toEqual([1]);
  broken = true;
  expect(() => guest.device.snapshot()).toThrow("no answer");
  // A guest that reads its pending bits is answered as ever.
  expect(mmioRead(guest.device, bar + 0x3000, 4)).toBe(0);
  expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
  // MSI's pending bits are worked out in the same way.
  guest.device.configWrite(at.msix + 2, 2, 0);
  guest.device.configWrite(at.msi + 2, 2, 1);
  guest.device.configWrite(at.msi + 16, 4, 1);
  expect(() => guest.device.snapshot()).toThrow("no answer");
  broken = false;
  expect(guest.device.snapshot().interrupts.msi!.pending).toEqual([]);
});

describe("a restore", () => {
  test.each([
    ["a register", at.pcie + 8, 0],
    // Attach itself writes it once.
    ["COMMAND", 0x04, 1],
  ] as const)("whose device refuses %s fails, and leaves nothing", (_, offset, before) => {
    using guest = attach(device);
    guest.device.configWrite(at.pcie + 8, 2, 0x2000);
    guest.device.configWrite(0x04, 2, memory);
    const snapshot = guest.device.snapshot();
    let writes = 0;
    const refuses = (call: Call): boolean =>
      call.kind === "write" && call.offset === offset && writes++ >= before;
    const how = { snapshot, prepare: (backend: WatchedBackend) => void (backend.fails = refuses) };
    const documented = (error: unknown) => expect(error).toMatchObject({ name: "VfioError", code: "EIO" });
    expect(tryAttach(device, how, documented)).toBeUndefined();
  });

  test("takes any snapshot that was taken, whatever the name and however many capabilities are hidden", () => {
    const { bdf: _, ...rest } = syntheticImage(device);
    const image = { ...rest, bdf: "0000:01:00.0 in a socket's path".padEnd(300, "/") };
    const hide = Array.from({ length: 600 }, (_, i) => i % 300);
    using guest = attach(image, { attach: { hide } });
    const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
    using back = attach(image, { snapshot });
    expect(back.device.snapshot()).toEqual(guest.device.snapshot());
    expect(back.device.snapshot().options.hide).toHaveLength(300);
  });
});

test("a snapshot whose GPUDirect clique does not fit the device is a bad snapshot, and none in it means none", () => {
  const nvidia = { vendorId: 0x10de, bars: { 0: { size: 0x4000 } } };
  using guest = attach(nvidia);
  const snapshot = guest.device.snapshot();
  using back = attach(nvidia, { snapshot, attach: { gpuDirectClique: 3 } });
  expect(back.device.describe().patches).toEqual(guest.device.describe().patches);
  using other = attach({ bars: { 0: { size: 0x4000 } } });
  const wrong = { ...other.device.snapshot(), options: { ...snapshot.options, gpuDirectClique: 3 } };
  try {
    attach({ bars: { 0: { size: 0x4000 } } }, { snapshot: wrong });
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(VfioError);
    expect((error as VfioError).code).toBe("EBADSNAPSHOT");
    expect((error as VfioError).cause).toBeInstanceOf(RangeError);
  }
});

test.each<[what: string, snapshot: (taken: DeviceSnapshot) => unknown, hint: RegExp]>([
  ["nothing", () => null, /^Give it as snapshot\(\) gave it/],
  ["a part of one", ({ version }) => ({ version }), /^Give it as snapshot\(\) gave it/],
  ["one of a newer version", (taken) => ({ ...taken, version: 99 }), /^Restore it with a newer bun-vfio\.$/],
  [
    "one of an older version",
    (taken) => ({ ...taken, version: 1 }),
    /^Restore it with the bun-vfio that took it/,
  ],
  [
    "one of another device",
    (taken) => ({ ...taken, device: { ...taken.device, deviceId: 1 } }),
    /^Restore it on a device of the same model/,
  ],
])("%s is a bad snapshot, with what to do", (_, change, hint) => {
  using guest = attach(device);
  const taken = JSON.parse(JSON.stringify(guest.device.snapshot())) as DeviceSnapshot;
  expect(refusal(() => attach(device, { snapshot: change(taken) }))).toMatchObject({
    code: "EBADSNAPSHOT",
    hint: expect.stringMatching(hint),
  });
});

test.each([
  [{ size: 0x8000 }, "BAR0 of its guest is memory32 of 0x4000 bytes, and here memory32 of 0x8000 bytes"],
  [{ size: 0x4000, kind: "memory64" as const }, "and here memory64 of 0x4000 bytes"],
])("a snapshot of a device of the same model with other BARs is refused: %p", (bar, message) => {
  using guest = attach(device);
  const snapshot = guest.device.snapshot();
  expect(refusal(() => attach({ ...device, bars: { 0: bar } }, { snapshot }))).toMatchObject({
    code: "EBADSNAPSHOT",
    message: expect.stringContaining(message),
  });
});

describe("a field that the device cannot have is refused, with what it is", () => {
  const full: SyntheticDevice = { ...device, msi: { log2: 1, maskable: true } };
  const bare: SyntheticDevice = { bars: { 0: { size: 0x1000 } } };
  const taken = (of: SyntheticDevice): DeviceSnapshot => {
    using guest = attach(of);
    return JSON.parse(JSON.stringify(guest.device.snapshot())) as DeviceSnapshot;
  };
  const refused = (of: SyntheticDevice, change: (snapshot: DeviceSnapshot) => DeviceSnapshot): string => {
    const error = refusal(() => attach(of, { snapshot: change(taken(of)) })[Symbol.dispose]());
    expect(error).toMatchObject({ code: "EBADSNAPSHOT", hint: expect.stringMatching(/^Restore it /) });
    return error.message.replace(/^.*cannot be restored: /, "");
  };
  type Kind = "msi" | "msix";
  const pending = (kind: Kind) => (snapshot: DeviceSnapshot) => ({
    ...snapshot,
    interrupts: { ...snapshot.interrupts, [kind]: { ...snapshot.interrupts[kind]!, pending: [1, 2] } },
  });

  test.each([
    ["MSI vector 2 is pending, and the device has 2", full, pending("msi")],
    ["MSI-X vector 2 is pending, and the device has 2", full, pending("msix")],
    [
      "it has MSI and MSI-X on at once",
      full,
      (snapshot: DeviceSnapshot) => {
        const { msi, msix } = snapshot.interrupts;
        const [first, ...others] = msi!.registers;
        const registers = [(first! | 0x10000) >>> 0, ...others];
        return { ...snapshot, interrupts: { msi: { ...msi!, registers }, msix: { ...msix!, enable: true } } };
      },
    ],
    [
      "BAR3 has its address, and the device has no such BAR",
      full,
      (snapshot: DeviceSnapshot) => ({ ...snapshot, bars: { held: [0, 3] } }),
    ],
    [
      "it sleeps in D3, and the device has no power states",
      bare,
      (snapshot: DeviceSnapshot) => ({ ...snapshot, decoding: { ...snapshot.decoding, power: 3 } }),
    ],
  ] as const)("%s", (message, of, change) => expect(refused(of, change)).toBe(message));
});
