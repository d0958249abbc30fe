import { describe, expect, test } from "bun:test";
import { attach, type Attached } from "../../../support/attached.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const device = (msi: NonNullable<SyntheticDevice["msi"]>): SyntheticDevice => ({
  bars: { 0: { size: 0x1000 } },
  msi,
});
const control = at.msi + 2;
const messages = ({ platform }: Attached) =>
  platform.state().routes.map(({ vector, message }) => [vector, message.data]);

describe("MSI", () => {
  test("one vector, 32-bit, without mask bits", () => {
    using guest = attach(device({ log2: 0 }));
    guest.device.configWrite(at.msi + 4, 4, 0xfee01003);
    guest.device.configWrite(at.msi + 8, 2, 0x31);
    guest.device.configWrite(control, 2, 1);
    expect(guest.device.configRead(at.msi + 4, 4)).toBe(0xfee01000);
    expect(guest.platform.state().routes).toMatchObject([
      { vector: 0, message: { addressLow: 0xfee01000, data: 0x31 } },
    ]);
    guest.recorded.raise(1, 0);
    expect(guest.platform.deliver()).toHaveLength(1);
  });

  test("defects 38 and 39: 4 of 8 vectors, each with its own data", () => {
    using guest = attach(device({ log2: 3, wide: true, maskable: true }), { attach: { requesterId: 0x10 } });
    guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
    guest.device.configWrite(at.msi + 8, 4, 0x1);
    guest.device.configWrite(at.msi + 12, 2, 0x40);
    guest.device.configWrite(control, 2, 0x21);
    expect(messages(guest)).toEqual([
      [0, 0x40],
      [1, 0x41],
      [2, 0x42],
      [3, 0x43],
    ]);
    expect(guest.platform.state().routes[0]?.message).toMatchObject({ addressHigh: 1, requesterId: 0x10 });
    const request = guest.backend.irqRequests.at(-1)!;
    expect(request.data.kind === "eventfd" && request.data.fds.length).toBe(4);
    for (const vector of [3, 1]) guest.recorded.raise(1, vector);
    expect(guest.platform.deliver().map(({ message }) => message.data)).toEqual([0x41, 0x43]);
  });

  test("the vectors that the guest may ask for are those that the host has", () => {
    using guest = attach(device({ log2: 5, available: 4 }));
    expect((guest.device.configRead(control, 2) >>> 1) & 7).toBe(2);
  });

  test("defect 42: byte writes and split address writes count like whole ones", () => {
    using guest = attach(device({ log2: 1, wide: true }));
    guest.device.configWrite(at.msi + 4, 2, 0x2000);
    guest.device.configWrite(at.msi + 6, 2, 0xfee0);
    guest.device.configWrite(at.msi + 12, 1, 0x44);
    guest.device.configWrite(at.msi + 13, 1, 0x41);
    guest.device.configWrite(control, 1, 0x01);
    expect(guest.platform.state().routes).toMatchObject([
      { message: { addressLow: 0xfee02000, data: 0x4144 } },
    ]);
    const before = guest.backend.counts.configWrites;
    guest.device.configWrite(at.msi, 4, 0x00010005);
    expect(guest.backend.counts.configWrites).toBe(before);
  });

  test("defect 42: a write that changes nothing updates no route", () => {
    using guest = attach(device({ log2: 0 }));
    guest.device.configWrite(control, 2, 1);
    const before = guest.platform.actionsOf("set-routing").length;
    guest.device.configWrite(control, 2, 1);
    guest.device.configWrite(at.msi + 8, 2, 0);
    expect(guest.platform.actionsOf("set-routing").length).toBe(before);
    guest.device.configWrite(at.msi + 8, 2, 5);
    expect(guest.platform.actionsOf("set-routing").length).toBe(before + 1);
  });

  test("a masked vector waits, shows as pending, and comes when unmasked", () => {
    using guest = attach(device({ log2: 2, wide: true, maskable: true }));
    guest.device.configWrite(control, 2, 0x21);
    guest.device.configWrite(at.msi + 16, 4, 0b0100);
    guest.recorded.raise(1, 2);
    guest.recorded.raise(1, 0);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([0]);
    expect(guest.device.configRead(at.msi + 20, 4)).toBe(0b0100);
    guest.device.configWrite(at.msi + 20, 4, 0);
    expect(guest.device.configRead(at.msi + 20, 1)).toBe(0b0100);
    guest.device.configWrite(at.msi + 16, 4, 0);
    expect(guest.platform.deliver().map(({ vector }) => vector)).toEqual([2]);
    expect(guest.device.configRead(at.msi + 20, 4)).toBe(0);
    // Mask bits beyond the vectors there are do not exist.
    guest.device.configWrite(at.msi + 16, 4, 0xffffffff);
    expect(guest.device.configRead(at.msi + 16, 4)).toBe(0xf);
  });

  test("INTx is off while MSI is on, and back afterwards", () => {
    using guest = attach(device({ log2: 0 }));
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
    guest.device.configWrite(control, 2, 1);
    expect(guest.device.describe().interrupts.mode).toBe("MSI");
    guest.device.configWrite(control, 2, 0);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
  });

  test("defect 46: where the host refuses, MSI reads as off and INTx stays", () => {
    using guest = attach(device({ log2: 0 }));
    guest.backend.fails = (call) => call.kind === "irqs" && call.request.index === 1;
    guest.device.configWrite(control, 2, 1);
    expect(guest.device.configRead(control, 2) & 1).toBe(0);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
  });

  test("MSI and MSI-X at once: the second is refused", () => {
    using guest = attach({
      bars: { 0: { size: 0x4000 } },
      msi: { log2: 0 },
      msix: { vectors: 4, table: [0, 0], pba: [0, 0x1000] },
    });
    guest.device.configWrite(at.msi + 2, 2, 1);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(guest.device.describe().interrupts.mode).toBe("MSI");
    expect(guest.device.configRead(at.msix + 2, 2) & 0x8000).toBe(0);
  });
});

describe("extended message data", () => {
  test.each([true, false])("is hidden, bit and register (mask bits: %p)", (maskable) => {
    using guest = attach({
      bars: { 0: { size: 0x1000 } },
      msi: { log2: 0, wide: true, maskable },
      patch: (config) => (config[at.msi + 3]! |= 0x02),
    });
    expect(guest.device.configRead(control, 2) & 0x0600).toBe(0);
    guest.device.configWrite(control, 2, 0x0400);
    guest.device.configWrite(at.msi + 14, 2, 0x1234);
    expect([guest.device.configRead(control, 2) & 0x0400, guest.device.configRead(at.msi + 14, 2)]).toEqual([
      0, 0,
    ]);
  });
});
