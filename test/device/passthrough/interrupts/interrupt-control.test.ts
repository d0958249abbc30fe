import { describe, expect, test } from "bun:test";
import { attach, memory, writeVector, type Attached, type Call } from "../../../support/attached.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

test("defect 40: routes of MSI and of MSI-X carry the device's requester ID", () => {
  const device = {
    bars: { 0: { size: 0x1000 } },
    msi: { log2: 0 },
    msix: { vectors: 1, table: [0, 0], pba: [0, 0x800] } as const,
  };
  using guest = attach(device, { attach: { requesterId: 0x0123 } });
  const requesters = (): number[] => guest.platform.state().routes.map(({ message }) => message.requesterId);
  guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
  guest.device.configWrite(at.msi + 2, 2, 1);
  expect(requesters()).toEqual([0x0123]);
  guest.device.configWrite(at.msi + 2, 2, 0);
  guest.device.configWrite(0x04, 2, memory);
  writeVector(guest.device, guest.device.configRead(0x10, 4), 0, 0x41);
  guest.device.configWrite(at.msix + 2, 2, 0x8000);
  expect(requesters()).toEqual([0x0123]);
});

test("defect 49: an open device's masked vectors take no route, and a closed one's are all given back", () => {
  using guest = attach({
    bars: { 0: { size: 0x10000 } },
    msix: { vectors: 2048, table: [0, 0], pba: [0, 0x8000] },
  });
  guest.device.configWrite(0x04, 2, memory);
  writeVector(guest.device, guest.device.configRead(0x10, 4), 2047, 0x41);
  guest.device.configWrite(at.msix + 2, 2, 0x8000);
  expect(guest.platform.state().routes.map(({ vector }) => vector)).toEqual([2047]);
  guest.device[Symbol.dispose]();
  expect(guest.platform.state().routes).toEqual([]);
});

describe("what is left to a guest whose vectors the host refuses is told as it is", () => {
  const device: SyntheticDevice = {
    bars: { 0: { size: 0x10000 } },
    msix: { vectors: 8, table: [0, 0], pba: [0, 0x8000], noResize: true },
  };
  const isArming = (index: number, call: Call): boolean =>
    call.kind === "irqs" && call.request.index === index && call.request.data.kind === "eventfd";
  const lost = (guest: Attached, fails: (call: Call) => boolean): string[] => {
    guest.device.configWrite(0x04, 2, memory);
    const { base } = guest.device.describe().bars[0]!;
    writeVector(guest.device, base!, 0, 0x40);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    guest.backend.fails = fails;
    writeVector(guest.device, base!, 5, 0x45);
    expect(guest.device.configRead(at.msix + 2, 2) & 0x8000).toBe(0);
    guest.backend.fails = () => false;
    return guest.events.map(({ message }) => message).filter((message) => message.includes("lost all"));
  };

  test("INTx, where that goes on", () => {
    using guest = attach(device);
    expect(lost(guest, (call) => isArming(2, call))).toEqual([
      "the host lost all vectors: the guest has INTx",
    ]);
    expect(guest.device.describe().interrupts.mode).toBe("INTx");
  });

  test("nothing, where INTx is refused too", () => {
    using guest = attach(device);
    const nothing = "the host lost all vectors: the guest has no interrupt";
    expect(lost(guest, (call) => isArming(2, call) || isArming(0, call))).toEqual([nothing]);
    expect(guest.device.describe().interrupts.mode).toBe("none");
  });

  test("nothing, of a function without INTx", () => {
    using guest = attach({ ...device, pin: 0 });
    expect(lost(guest, (call) => isArming(2, call))).toEqual([
      "the host lost all vectors: the guest has no interrupt",
    ]);
  });

  test.each([
    [0, "MSI-X cannot be enabled: the guest has no interrupt: irqs fails as told"],
    [1, "MSI-X cannot be enabled: the guest has INTx: irqs fails as told"],
  ])("at the enable, with pin %d", (pin, message) => {
    using guest = attach({ ...device, pin });
    guest.backend.fails = (call) => isArming(2, call);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    expect(guest.events.map((event) => event.message)).toEqual([message]);
  });
});

test("an INTx line that cannot be turned on is told of once, until it could be or the cause is another", () => {
  using guest = attach({ bars: { 0: { size: 0x1000 } }, msi: { log2: 0 } });
  const toggle = (): void => {
    guest.device.configWrite(at.msi + 2, 2, 1);
    guest.device.configWrite(at.msi + 2, 2, 0);
  };
  guest.backend.fails = (call) =>
    call.kind === "irqs" && call.request.index === 0 && call.request.data.kind === "eventfd";
  for (let times = 0; times < 3; times++) toggle();
  expect(guest.events.map(({ message }) => message)).toEqual(["INTx cannot be enabled: irqs fails as told"]);
  guest.backend.fails = () => false;
  toggle();
  guest.backend.fails = (call) =>
    call.kind === "irqs" && call.request.index === 0 && call.request.data.kind === "eventfd";
  toggle();
  expect(guest.events).toHaveLength(2);
  guest.backend.fails = () => false;
});

describe("at detach", () => {
  const device: SyntheticDevice = {
    bars: { 0: { size: 0x10000 } },
    msi: { log2: 3 },
    msix: { vectors: 8, table: [0, 0], pba: [0, 0x8000] },
  };
  const detached = (kind: string): { guest: Attached; again: string[] } => {
    const guest = attach(device);
    guest.device.configWrite(0x04, 2, memory);
    writeVector(guest.device, guest.device.describe().bars[0]!.base!, 0, 0x40);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    const mend = guest.platform.failOn((action) => action.kind === kind);
    guest.device[Symbol.dispose]();
    const told = guest.events.length;
    for (let times = 0; times < 3; times++) guest.device[Symbol.dispose]();
    const again = guest.events.slice(told).map(({ message }) => message);
    mend();
    guest.device[Symbol.dispose]();
    expect([guest.device.released, guest.platform.leaks()]).toEqual([true, []]);
    guest.platform[Symbol.dispose]();
    return { guest, again };
  };

  test.each(["intx-disconnect", "irqfd-off", "set-routing", "msi-close", "intx-close"])(
    "%s that is refused each time is told once",
    (kind) => {
      const { guest, again } = detached(kind);
      const messages = guest.events.map(({ message }) => message);
      expect([again, messages]).toEqual([[], [...new Set(messages)]]);
    },
  );

  test("each kind of interrupt that cannot be given back has its name", () => {
    const messages = detached("msi-close").guest.events.map(({ message }) => message);
    expect(messages).toEqual([
      "MSI-X cannot be given back: fault injected by the test: msi-close group 1",
      "MSI cannot be given back: fault injected by the test: msi-close group 0",
    ]);
  });
});
