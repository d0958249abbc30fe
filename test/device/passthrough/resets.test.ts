import { describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { attach, io, master, memory, writeVector, type Attached, type Call } from "../../support/attached.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

const device: SyntheticDevice = {
  bars: { 0: { size: 0x4000, kind: "memory64" }, 2: { size: 0x1000 }, 4: { size: 0x20, kind: "io" } },
  romSize: 0x1000,
  pm: true,
  pcie: true,
  msix: { vectors: 2, table: [0, 0], pba: [0, 0x800] },
};
const registers = [0x10, 0x14, 0x18, 0x20, 0x30];
const barsOf = (guest: Attached): number[] =>
  registers.map((register) => guest.device.configRead(register, 4));
const functionReset = (guest: Attached): void => guest.device.configWrite(at.pcie + 8, 2, 0x8000);
const isFunctionReset = (call: Call): boolean => call.kind === "write" && call.offset === at.pcie + 8;
const powerOf = (guest: Attached): number => guest.device.configRead(at.pm + 4, 2) & 3;

describe("a guest's function-level reset", () => {
  test("leaves the BARs at 0, as hardware does; the VMM's reset brings the first addresses back", () => {
    using guest = attach(device);
    const first = barsOf(guest);
    guest.device.configWrite(0x30, 4, (first[4]! | 1) >>> 0);
    guest.device.configWrite(0x04, 2, memory | io);
    functionReset(guest);
    expect(barsOf(guest)).toEqual([4, 0, 0, 1, 0]);
    expect(guest.platform.state().trapped).toEqual([]);
    // What Linux does after it: the registers of before.
    registers.forEach((register, i) => guest.device.configWrite(register, 4, first[i]!));
    guest.device.configWrite(0x04, 2, memory | io);
    expect(guest.platform.state().trapped).toHaveLength(3);
    functionReset(guest);
    guest.device.reset();
    expect(barsOf(guest)).toEqual(first);
    expect(guest.events).toEqual([]);
  });

  test("that does not reach the device changes nothing, and is an event", () => {
    using guest = attach(device);
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    const seen = (): unknown => ({
      bars: [barsOf(guest), guest.device.describe().bars.map(({ base }) => base)],
      command: guest.device.configRead(0x04, 2),
      interrupts: guest.device.describe().interrupts.mode,
      slots: guest.platform.state().slots.map(({ gpa, size, hva }) => [gpa, size, hva]),
    });
    const before = seen();
    let mapped: number | undefined;
    guest.backend.fails = (call) => {
      if (isFunctionReset(call)) mapped = guest.platform.state().slots.length;
      return isFunctionReset(call);
    };
    functionReset(guest);
    // It might have arrived: a guest's access to a mapping would then have faulted in the host.
    expect(mapped).toBe(0);
    expect(seen()).toEqual(before);
    expect(before).toMatchObject({ command: memory, interrupts: "MSI-X" });
    expect(guest.platform.state().slots.length).toBeGreaterThan(0);
    expect(guest.eventsOf("access-failed")).toHaveLength(1);
  });

  test("that does not reach a sleeping device leaves it asleep, with nothing mapped", () => {
    using guest = attach(device);
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.pm + 4, 2, 3);
    guest.backend.fails = isFunctionReset;
    functionReset(guest);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    expect([powerOf(guest), guest.device.snapshot().decoding.power]).toEqual([3, 3]);
    guest.backend.fails = () => false;
    functionReset(guest);
    expect([powerOf(guest), guest.device.snapshot().decoding.power]).toEqual([0, 0]);
  });
});

describe("the VMM's reset", () => {
  test("that fails leaves a sleeping device asleep, with nothing mapped; one that works wakes it", () => {
    using guest = attach(device);
    guest.device.configWrite(at.pm + 4, 2, 3);
    guest.backend.fails = ({ kind }) => kind === "reset";
    expect(() => guest.device.reset()).toThrow("reset fails as told");
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    expect([powerOf(guest), guest.device.snapshot().decoding.power]).toEqual([3, 3]);
    guest.backend.fails = () => false;
    guest.device.reset();
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.device.snapshot().decoding.power).toBe(0);
    expect(guest.platform.state().slots.length).toBeGreaterThan(0);
  });

  test("throws where the device cannot be kept from DMA; a second try is made", () => {
    using guest = attach(device);
    guest.device.configWrite(0x04, 2, memory | master);
    let writes = 0;
    const isCommand = (call: Call): boolean => call.kind === "write" && call.offset === 0x04;
    guest.backend.fails = (call) => isCommand(call) && writes++ < 1;
    guest.device.reset();
    expect([writes, guest.device.configRead(0x04, 2)]).toEqual([2, 0]);
    guest.backend.fails = isCommand;
    expect(() => guest.device.reset()).toThrow("config write of 2 at 0x4 fails");
    expect(guest.platform.state().trapped).toEqual([]);
    guest.backend.fails = (call) => isCommand(call) || call.kind === "reset";
    expect(() => guest.device.reset()).toThrow("reset fails as told");
  });

  test("maps nothing on a device that does not say whether it is awake", () => {
    using guest = attach(device);
    guest.backend.fails = (call) => call.kind === "read" && call.offset === at.pm + 4;
    guest.device.reset();
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [] });
    guest.backend.fails = () => false;
    // The guest's next word on power tells.
    guest.device.configWrite(at.pm + 4, 2, 0);
    expect(guest.platform.state().slots.length).toBeGreaterThan(0);
  });
});

describe("a device is stopped before it is reset", () => {
  /** What of the stop and the reset reaches the device, in order. */
  const orderOf = ({ backend }: Attached): string[] =>
    backend.calls.flatMap((call) => {
      if (call.kind === "reset" || isFunctionReset(call)) return ["reset"];
      if (call.kind === "write" && call.offset === 0x04) return ["COMMAND"];
      if (call.kind !== "irqs" || call.request.action !== "trigger") return [];
      const { data } = call.request;
      if (data.kind === "none") return ["interrupts off"];
      return data.kind === "eventfd" && data.fds.some((fd) => fd >= 0) ? ["interrupts on"] : [];
    });
  const started = (): Attached => {
    const guest = attach(device);
    guest.device.configWrite(0x04, 2, memory | master);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    guest.backend.calls.length = 0;
    return guest;
  };
  const quiet = ["COMMAND", "interrupts off", "reset", "COMMAND", "interrupts on"];

  test("at attach", () => {
    using guest = attach(device);
    // What the host gives is asked for, without an eventfd, before INTx goes on.
    expect(orderOf(guest)).toEqual(["COMMAND", "reset", "COMMAND", "interrupts off", "interrupts on"]);
  });

  test("by the VMM", () => {
    using guest = started();
    guest.device.reset();
    expect(orderOf(guest)).toEqual(quiet);
  });

  test("by the guest; one that does not arrive gives COMMAND and interrupts back", () => {
    using guest = started();
    functionReset(guest);
    expect(orderOf(guest)).toEqual(quiet);
    using other = started();
    writeVector(other.device, other.device.describe().bars[0]!.base!, 1, 0x41);
    other.backend.calls.length = 0;
    other.backend.fails = isFunctionReset;
    functionReset(other);
    expect(other.device.configRead(0x04, 2)).toBe(memory | master);
    // What it sent meanwhile reached nobody.
    expect(other.platform.deliver().map(({ message }) => message.data)).toEqual([0x41]);
    other.recorded.raise(IrqIndex.msix, 1);
    expect(other.platform.deliver().map(({ message }) => message.data)).toEqual([0x41]);
  });
});

describe("whatever the guest has on, and however it or the VMM resets", () => {
  const full: SyntheticDevice = { ...device, af: true, msi: { log2: 3, maskable: true } };
  const setUp: Record<string, (guest: Attached) => void> = {
    INTx: () => {},
    "INTx, masked by an interrupt": ({ recorded }) => void recorded.raise(IrqIndex.intx, 0),
    MSI: (guest) => {
      guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
      guest.device.configWrite(at.msi + 2, 2, 0x31);
    },
    "MSI-X": (guest) => {
      writeVector(guest.device, guest.device.describe().bars[0]!.base!, 0, 0x40);
      guest.device.configWrite(at.msix + 2, 2, 0x8000);
    },
    D3hot: (guest) => guest.device.configWrite(at.pm + 4, 2, 3),
  };
  const ways: Record<string, (guest: Attached) => void> = {
    "the VMM": ({ device }) => device.reset(),
    "a word of PCI Express": ({ device }) => device.configWrite(at.pcie + 8, 2, 0x8000),
    "a dword": ({ device }) => device.configWrite(at.pcie + 8, 4, 0x000f8000),
    "the byte with the bit": ({ device }) => device.configWrite(at.pcie + 9, 1, 0x80),
    "Advanced Features": ({ device }) => device.configWrite(at.af + 4, 1, 1),
  };
  test.each(Object.keys(setUp).flatMap((on) => Object.keys(ways).map((way) => [on, way] as const)))(
    "%s, by %s: the device is stopped before, and as after power-on afterwards",
    (on, way) => {
      using guest = attach(full);
      guest.device.configWrite(0x04, 2, memory | master);
      setUp[on]!(guest);
      guest.backend.calls.length = 0;
      ways[way]!(guest);
      const order = guest.backend.calls.flatMap((call) => {
        if (call.kind === "write") return [call.offset === 0x04 ? "COMMAND" : "reset"];
        if (call.kind !== "irqs") return call.kind === "reset" ? ["reset"] : [];
        return call.request.action === "trigger" ? [call.request.data.kind === "none" ? "off" : "on"] : [];
      });
      expect(order).toEqual(["COMMAND", "off", "reset", "COMMAND", "on"]);
      const { bars, interrupts } = guest.device.describe();
      expect([bars.map(({ base }) => base), interrupts.mode]).toEqual([bars.map(() => undefined), "INTx"]);
      expect(guest.platform.state().slots).toEqual([]);
      const config = (offset: number): number => guest.device.configRead(offset, 2);
      expect([config(at.msi + 2) & 1, config(at.msix + 2) >>> 15, powerOf(guest)]).toEqual([0, 0, 0]);
      // A line that an interrupt of before had masked is free again.
      guest.recorded.raise(IrqIndex.intx, 0);
      guest.platform.deliver();
      expect(guest.platform.state().intx.map(({ asserted }) => asserted)).toEqual([true]);
      expect(guest.events).toEqual([]);
    },
  );
});

describe("a device that does not come back from a reset", () => {
  const dying = (what: SyntheticDevice): Attached => {
    const guest = attach(what);
    guest.device.configWrite(0x04, 2, memory | master);
    const reset = guest.backend.reset.bind(guest.backend);
    guest.backend.reset = () => (reset(), guest.backend.fallOff());
    return guest;
  };

  test.each([true, false])(
    "is an error for the VMM, and nothing of it is mapped (power management: %p)",
    (pm) => {
      using guest = dying({ bars: { 0: { size: 0x4000 } }, pm, pcie: true });
      expect(() => guest.device.reset()).toThrow(expect.objectContaining({ code: "ENODEV" }));
      guest.device.configWrite(0x04, 2, memory | master);
      expect(guest.device.configRead(0x04, 2)).toBe(0xffff);
      expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    },
  );

  test.each([true, false])(
    "is an event where the guest reset it, and is mapped again when it answers (power management: %p)",
    (pm) => {
      using guest = attach({ bars: { 0: { size: 0x4000 } }, pm, pcie: true });
      const { read, write } = guest.backend;
      guest.backend.write = (region, offset, data) => {
        write.call(guest.backend, region, offset, data);
        if (offset === at.pcie + 8) guest.backend.fallOff();
      };
      functionReset(guest);
      expect(guest.eventsOf("reset-failed")).toHaveLength(1);
      guest.backend.read = read;
      guest.backend.write = write;
      guest.device.configWrite(0x10, 4, 0xd0000000);
      guest.device.configWrite(0x04, 2, memory);
      expect(guest.platform.state().slots).toHaveLength(1);
    },
  );
});
