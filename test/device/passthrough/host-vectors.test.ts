import { describe, expect, test } from "bun:test";
import { VfioError } from "../../../src/ffi/errors.ts";
import { IrqIndex, type IrqRequest } from "../../../src/regs/vfio/irqs.ts";
import {
  attach,
  memory,
  writeVector,
  type Attached,
  type AttachTest,
  type Call,
} from "../../support/attached.ts";
import { refusal } from "../../support/refusal.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

/** A host that has so many vectors left, as VFIO_DEVICE_SET_IRQS tells: it gives all that are asked for, or none. */
const left =
  (index: number, vectors: number, code = "ENOSPC"): AttachTest["prepare"] =>
  (backend) => {
    const setIrqs = backend.setIrqs.bind(backend);
    backend.setIrqs = (request) => {
      if (request.index === index && request.data.kind === "eventfd" && request.data.fds.length > vectors)
        throw new VfioError(`the host has ${vectors} vectors left`, { code });
      setIrqs(request);
    };
  };
const msi: SyntheticDevice = { bars: { 0: { size: 0x1000 } }, msi: { log2: 3, wide: true } };
const msix: SyntheticDevice = {
  bars: { 0: { size: 0x20000 } },
  msix: { vectors: 64, table: [0, 0x10000], pba: [0, 0x18000], noResize: true },
};
const growing: SyntheticDevice = { ...msix, msix: { ...msix.msix!, noResize: false } };
const askedFor = ({ backend }: Attached, index: number): IrqRequest[] =>
  backend.irqRequests.filter((request) => request.index === index);
const offeredMsi = ({ device }: Attached): number => 2 ** ((device.configRead(at.msi + 2, 2) >>> 1) & 7);
const offeredMsix = ({ device }: Attached): number => (device.configRead(at.msix + 2, 2) & 0x7ff) + 1;
/** IDs of the capabilities that the guest finds. */
function capabilitiesOf({ device }: Attached): number[] {
  const found: number[] = [];
  for (let at = device.configRead(0x34, 1); at !== 0 && found.length < 48; at = device.configRead(at + 1, 1))
    found.push(device.configRead(at, 1));
  return found;
}

describe("the vectors that the host gives are asked for once, at attach, and offered", () => {
  test.each([8, 7, 4, 1])("MSI messages: the largest power of two in %d", (vectors) => {
    using guest = attach(msi, { prepare: left(IrqIndex.msi, vectors)! });
    expect(offeredMsi(guest)).toBe(2 ** Math.floor(Math.log2(vectors)));
    expect(guest.events).toEqual([]);
  });

  test("a guest that enables more than it is offered has those", () => {
    using guest = attach(msi, { prepare: left(IrqIndex.msi, 1)! });
    guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
    guest.device.configWrite(at.msi + 12, 2, 0x40);
    guest.device.configWrite(at.msi + 2, 2, 0x31);
    guest.recorded.raise(IrqIndex.msi, 0);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual([0x40]);
  });

  test.each([64, 63, 5, 1])("MSI-X of a host that cannot add vectors: %d", (vectors) => {
    using guest = attach(msix, { prepare: left(IrqIndex.msix, vectors)! });
    expect(offeredMsix(guest)).toBe(vectors);
    expect(guest.device.describe().msix!.guest.table.size).toBe(16 * vectors);
  });

  test.each([
    [5, 4, 5],
    [1, 1, 1],
    // None: that may be another reason.
    [0, 8, 64],
  ])("a host that refuses more than %d with EINVAL is asked for fewer", (vectors, messages, entries) => {
    const invalid = (index: number): AttachTest => ({ prepare: left(index, vectors, "EINVAL")! });
    {
      using guest = attach(msi, invalid(IrqIndex.msi));
      expect(offeredMsi(guest)).toBe(messages);
    }
    for (const of of [msix, growing]) {
      using guest = attach(of, invalid(IrqIndex.msix));
      expect(offeredMsix(guest)).toBe(entries);
    }
  });

  test("a kind that the host has none of is hidden, and INTx works", () => {
    using guest = attach(msix, { prepare: left(IrqIndex.msix, 0)! });
    expect(guest.device.describe()).toMatchObject({ msix: undefined, interrupts: { mode: "INTx" } });
    expect(guest.eventsOf("msix")).toHaveLength(1);
  });

  test.each([64, 63, 5, 1])("MSI-X of a host that adds vectors: %d", (vectors) => {
    using guest = attach(growing, { prepare: left(IrqIndex.msix, vectors)! });
    expect(offeredMsix(guest)).toBe(vectors);
    expect(guest.events).toEqual([]);
  });

  test("a host that gives all is asked twice for each kind: for all, and for none", () => {
    using guest = attach({ ...growing, ...msi });
    const asked = [IrqIndex.msi, IrqIndex.msix].map((index) => askedFor(guest, index));
    expect(asked.map((requests) => requests.map(({ data }) => data.kind))).toEqual([
      ["eventfd", "none"],
      ["eventfd", "none"],
    ]);
    for (const { data } of asked.flat())
      if (data.kind === "eventfd") expect(new Set(data.fds)).toEqual(new Set([-1]));
  });

  test.each([
    [5, 5, 1],
    [0, 0, 1],
    // What cannot be is no answer.
    [64, 40, 9],
    [-1, 40, 9],
    [NaN, 40, 9],
  ])(
    "a host that says that it has %d is taken at its word: %d are offered, after %d requests",
    (available, offered, requests) => {
      using guest = attach(growing, {
        prepare: (backend) => {
          const setIrqs = backend.setIrqs.bind(backend);
          backend.setIrqs = (request) => {
            if (request.data.kind === "eventfd" && request.data.fds.length > 40) {
              backend.calls.push({ kind: "irqs", request });
              throw new VfioError("too many", { code: "ENOSPC", available });
            }
            setIrqs(request);
          };
        },
      });
      expect(guest.device.describe().msix?.guest.vectors ?? 0).toBe(offered);
      expect(askedFor(guest, IrqIndex.msix)).toHaveLength(requests);
    },
  );

  test("where the host has not even one, neither kind is offered, and the guest has INTx", () => {
    const single = { bars: msix.bars!, pin: 1, msi: { log2: 0 }, msix: { ...msix.msix!, vectors: 1 } };
    using whole = attach(single);
    expect([askedFor(whole, IrqIndex.msi).length, askedFor(whole, IrqIndex.msix).length]).toEqual([2, 2]);
    expect(capabilitiesOf(whole)).toEqual(expect.arrayContaining([0x05, 0x11]));
    using none = attach(single, {
      prepare: (backend, platform) => {
        left(IrqIndex.msi, 0)!(backend, platform);
        left(IrqIndex.msix, 0)!(backend, platform);
      },
    });
    expect(capabilitiesOf(none)).not.toEqual(expect.arrayContaining([0x05]));
    expect(capabilitiesOf(none)).not.toEqual(expect.arrayContaining([0x11]));
    expect(askedFor(none, IrqIndex.intx).length).toBeGreaterThan(0);
  });

  test("a guest that uses all that it is offered has each, and INTx no more", () => {
    using guest = attach(growing, { prepare: left(IrqIndex.msix, 5)! });
    const base = guest.device.describe().bars[0]!.address;
    guest.device.configWrite(0x04, 2, memory);
    for (let vector = 0; vector < 5; vector++)
      writeVector(guest.device, base! + 0x10000, vector, 0x40 + vector);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    for (let vector = 0; vector < 5; vector++) guest.recorded.raise(IrqIndex.msix, vector);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual([
      0x40, 0x41, 0x42, 0x43, 0x44,
    ]);
    expect(guest.events).toEqual([]);
  });

  test("vectors that the host has given to others since cost those that it has no more", () => {
    using guest = attach(growing);
    let given = 0;
    left(IrqIndex.msix, 0)!(guest.backend, guest.platform);
    const refuse = guest.backend.setIrqs.bind(guest.backend);
    guest.backend.setIrqs = (request) => {
      const { data, start } = request;
      if (data.kind === "eventfd" && request.index === IrqIndex.msix && start + data.fds.length > 40)
        return refuse(request);
      given++;
      guest.recorded.setIrqs(request);
    };
    const base = guest.device.describe().bars[0]!.address;
    guest.device.configWrite(0x04, 2, memory);
    for (let vector = 0; vector < 64; vector++) writeVector(guest.device, base! + 0x10000, vector, vector);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(guest.device.configRead(at.msix + 2, 2) & 0x8000).toBe(0x8000);
    expect(given).toBeGreaterThan(0);
    for (let vector = 0; vector < 64; vector++) guest.recorded.raise(IrqIndex.msix, vector);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect(guest.eventsOf("interrupt-failed").map(({ message }) => message)).toEqual([
      `MSI-X vectors ${Array.from({ length: 24 }, (_, i) => 40 + i).join(", ")} cannot be armed: the host has 0 vectors left`,
    ]);
  });

  test("what was asked for is off again before INTx goes on", () => {
    using guest = attach({ ...msix, ...msi });
    expect(guest.recorded.raise(IrqIndex.intx, 0)).toBe(true);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
  });

  test("a host that fails otherwise is taken at its word: the guest finds out when it enables", () => {
    const failing = (call: Call): boolean =>
      call.kind === "irqs" && call.request.index === IrqIndex.msi && call.request.data.kind === "eventfd";
    using guest = attach(msi, { prepare: (backend) => void (backend.fails = failing) });
    expect(offeredMsi(guest)).toBe(8);
    guest.device.configWrite(at.msi + 2, 2, 0x31);
    expect(guest.device.configRead(at.msi + 2, 2) & 1).toBe(0);
    expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
  });
});

test.each([0, 1, 2, 3, 5, 7])(
  "a guest that asks for 2^%d messages of a host with three has those that it is offered",
  (log2) => {
    using guest = attach(msi, { prepare: left(IrqIndex.msi, 3)! });
    const { device, platform, recorded } = guest;
    device.configWrite(at.msi + 4, 4, 0xfee00000);
    device.configWrite(at.msi + 12, 2, 0x40);
    device.configWrite(at.msi + 2, 2, 1 | (log2 << 4));
    const messages = Math.min(2 ** log2, 2);
    for (let vector = 0; vector < 8; vector++) recorded.raise(IrqIndex.msi, vector);
    expect(platform.deliver().map(({ message }) => message.data)).toEqual([0x40, 0x41].slice(0, messages));
    expect(guest.events).toEqual([]);
  },
);

test.each([
  ["MSI", msi, IrqIndex.msi, 8, 4],
  ["MSI-X", growing, IrqIndex.msix, 64, 63],
] as const)(
  "a snapshot of more %s vectors than a host has is refused: its guest uses them",
  (kind, of, index, taken, here) => {
    using guest = attach(of);
    const snapshot = guest.device.snapshot();
    expect(refusal(() => attach(of, { snapshot, prepare: left(index, here)! }))).toMatchObject({
      code: "EBADSNAPSHOT",
      message: expect.stringContaining(
        `its guest was offered ${taken} ${kind} vectors, and this device and host have ${here}`,
      ),
      hint: expect.stringContaining("Restore it on a host that gives as many"),
    });
  },
);

describe("msixVectors", () => {
  test("offers so many at most", () => {
    using guest = attach(msix, { attach: { msixVectors: 5 } });
    expect(offeredMsix(guest)).toBe(5);
    using all = attach(msix, { attach: { msixVectors: 2048 } });
    expect(offeredMsix(all)).toBe(64);
  });

  test("comes back with a restore, whatever the new host has", () => {
    using guest = attach(msix, { attach: { msixVectors: 5 } });
    guest.device.configWrite(0x04, 2, memory);
    using restored = attach(msix, { snapshot: guest.device.snapshot() });
    expect(offeredMsix(restored)).toBe(5);
  });

  test.each([0, 2049, 1.5, "5"])("%p is refused", (msixVectors) => {
    const error = typeof msixVectors === "string" ? TypeError : RangeError;
    expect(() => attach(msix, { attach: { msixVectors: msixVectors as number } })).toThrow(error);
  });
});
