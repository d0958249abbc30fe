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
    using it = attach(device({ log2: 0 }));
    it.device.configWrite(at.msi + 4, 4, 0xfee01003);
    it.device.configWrite(at.msi + 8, 2, 0x31);
    it.device.configWrite(control, 2, 1);
    expect(it.device.configRead(at.msi + 4, 4)).toBe(0xfee01000);
    expect(it.platform.state().routes).toMatchObject([
      { vector: 0, message: { addressLow: 0xfee01000, data: 0x31 } },
    ]);
    it.recorded.raise(1, 0);
    expect(it.platform.deliver()).toHaveLength(1);
  });

  test("defects 38 and 39: 4 of 8 vectors, each with its own data", () => {
    using it = attach(device({ log2: 3, wide: true, maskable: true }), { attach: { requesterId: 0x10 } });
    it.device.configWrite(at.msi + 4, 4, 0xfee00000);
    it.device.configWrite(at.msi + 8, 4, 0x1);
    it.device.configWrite(at.msi + 12, 2, 0x40);
    it.device.configWrite(control, 2, 0x21);
    expect(messages(it)).toEqual([
      [0, 0x40],
      [1, 0x41],
      [2, 0x42],
      [3, 0x43],
    ]);
    expect(it.platform.state().routes[0]?.message).toMatchObject({ addressHigh: 1, requesterId: 0x10 });
    const request = it.backend.irqRequests.at(-1)!;
    expect(request.data.kind === "eventfd" && request.data.fds.length).toBe(4);
    for (const vector of [3, 1]) it.recorded.raise(1, vector);
    expect(it.platform.deliver().map(({ message }) => message.data)).toEqual([0x41, 0x43]);
  });

  test("the vectors that the guest may ask for are those that the host has", () => {
    using it = attach(device({ log2: 5, available: 4 }));
    expect((it.device.configRead(control, 2) >>> 1) & 7).toBe(2);
  });

  test("defect 42: byte writes and split address writes count like whole ones", () => {
    using it = attach(device({ log2: 1, wide: true }));
    it.device.configWrite(at.msi + 4, 2, 0x2000);
    it.device.configWrite(at.msi + 6, 2, 0xfee0);
    it.device.configWrite(at.msi + 12, 1, 0x44);
    it.device.configWrite(at.msi + 13, 1, 0x41);
    it.device.configWrite(control, 1, 0x01);
    expect(it.platform.state().routes).toMatchObject([{ message: { addressLow: 0xfee02000, data: 0x4144 } }]);
    const before = it.backend.counts.configWrites;
    it.device.configWrite(at.msi, 4, 0x00010005);
    expect(it.backend.counts.configWrites).toBe(before);
  });

  test("defect 42: a write that changes nothing updates no route", () => {
    using it = attach(device({ log2: 0 }));
    it.device.configWrite(control, 2, 1);
    const before = it.platform.actionsOf("set-routing").length;
    it.device.configWrite(control, 2, 1);
    it.device.configWrite(at.msi + 8, 2, 0);
    expect(it.platform.actionsOf("set-routing").length).toBe(before);
    it.device.configWrite(at.msi + 8, 2, 5);
    expect(it.platform.actionsOf("set-routing").length).toBe(before + 1);
  });

  test("a masked vector waits, shows as pending, and comes when unmasked", () => {
    using it = attach(device({ log2: 2, wide: true, maskable: true }));
    it.device.configWrite(control, 2, 0x21);
    it.device.configWrite(at.msi + 16, 4, 0b0100);
    it.recorded.raise(1, 2);
    it.recorded.raise(1, 0);
    expect(it.platform.deliver().map(({ vector }) => vector)).toEqual([0]);
    expect(it.device.configRead(at.msi + 20, 4)).toBe(0b0100);
    it.device.configWrite(at.msi + 20, 4, 0);
    expect(it.device.configRead(at.msi + 20, 1)).toBe(0b0100);
    it.device.configWrite(at.msi + 16, 4, 0);
    expect(it.platform.deliver().map(({ vector }) => vector)).toEqual([2]);
    expect(it.device.configRead(at.msi + 20, 4)).toBe(0);
    // Mask bits beyond the vectors there are do not exist.
    it.device.configWrite(at.msi + 16, 4, 0xffffffff);
    expect(it.device.configRead(at.msi + 16, 4)).toBe(0xf);
  });

  test("INTx is off while MSI is on, and back afterwards", () => {
    using it = attach(device({ log2: 0 }));
    expect(it.device.describe().interrupts.mode).toBe("INTx");
    it.device.configWrite(control, 2, 1);
    expect(it.device.describe().interrupts.mode).toBe("MSI");
    it.device.configWrite(control, 2, 0);
    expect(it.device.describe().interrupts.mode).toBe("INTx");
  });

  test("defect 46: where the host refuses, MSI reads as off and INTx stays", () => {
    using it = attach(device({ log2: 0 }));
    it.backend.fails = (call) => call.kind === "irqs" && call.request.index === 1;
    it.device.configWrite(control, 2, 1);
    expect(it.device.configRead(control, 2) & 1).toBe(0);
    expect(it.device.describe().interrupts.mode).toBe("INTx");
  });

  test("MSI and MSI-X at once: the second is refused", () => {
    using it = attach({
      bars: { 0: { size: 0x4000 } },
      msi: { log2: 0 },
      msix: { vectors: 4, table: [0, 0], pba: [0, 0x1000] },
    });
    it.device.configWrite(at.msi + 2, 2, 1);
    it.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(it.device.describe().interrupts.mode).toBe("MSI");
    expect(it.device.configRead(at.msix + 2, 2) & 0x8000).toBe(0);
  });
});

describe("extended message data", () => {
  test.each([true, false])("is hidden, bit and register (mask bits: %p)", (maskable) => {
    using it = attach({
      bars: { 0: { size: 0x1000 } },
      msi: { log2: 0, wide: true, maskable },
      patch: (config) => (config[at.msi + 3]! |= 0x02),
    });
    expect(it.device.configRead(control, 2) & 0x0600).toBe(0);
    it.device.configWrite(control, 2, 0x0400);
    it.device.configWrite(at.msi + 14, 2, 0x1234);
    expect([it.device.configRead(control, 2) & 0x0400, it.device.configRead(at.msi + 14, 2)]).toEqual([0, 0]);
  });
});
