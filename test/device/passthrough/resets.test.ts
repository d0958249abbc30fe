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
const barsOf = (it: Attached): number[] => registers.map((register) => it.device.configRead(register, 4));
const functionReset = (it: Attached): void => it.device.configWrite(at.pcie + 8, 2, 0x8000);
const isFunctionReset = (call: Call): boolean => call.kind === "write" && call.offset === at.pcie + 8;
const powerOf = (it: Attached): number => it.device.configRead(at.pm + 4, 2) & 3;

describe("a guest's function-level reset", () => {
  test("leaves the BARs at 0, as hardware does; the VMM's reset brings the first addresses back", () => {
    using it = attach(device);
    const first = barsOf(it);
    it.device.configWrite(0x30, 4, (first[4]! | 1) >>> 0);
    it.device.configWrite(0x04, 2, memory | io);
    functionReset(it);
    expect(barsOf(it)).toEqual([4, 0, 0, 1, 0]);
    expect(it.platform.state().trapped).toEqual([]);
    // What Linux does after it: the registers of before.
    registers.forEach((register, i) => it.device.configWrite(register, 4, first[i]!));
    it.device.configWrite(0x04, 2, memory | io);
    expect(it.platform.state().trapped).toHaveLength(3);
    functionReset(it);
    it.device.reset();
    expect(barsOf(it)).toEqual(first);
    expect(it.events).toEqual([]);
  });

  test("that does not reach the device changes nothing, and is an event", () => {
    using it = attach(device);
    it.device.configWrite(0x04, 2, memory);
    it.device.configWrite(at.msix + 2, 2, 0x8000);
    const seen = (): unknown => ({
      bars: [barsOf(it), it.device.describe().bars.map(({ base }) => base)],
      command: it.device.configRead(0x04, 2),
      interrupts: it.device.describe().interrupts.mode,
      slots: it.platform.state().slots.map(({ gpa, size, hva }) => [gpa, size, hva]),
    });
    const before = seen();
    let mapped: number | undefined;
    it.backend.fails = (call) => {
      if (isFunctionReset(call)) mapped = it.platform.state().slots.length;
      return isFunctionReset(call);
    };
    functionReset(it);
    // It might have arrived: a guest's access to a mapping would then have faulted in the host.
    expect(mapped).toBe(0);
    expect(seen()).toEqual(before);
    expect(before).toMatchObject({ command: memory, interrupts: "MSI-X" });
    expect(it.platform.state().slots.length).toBeGreaterThan(0);
    expect(it.eventsOf("access-failed")).toHaveLength(1);
  });

  test("that does not reach a sleeping device leaves it asleep, with nothing mapped", () => {
    using it = attach(device);
    it.device.configWrite(0x04, 2, memory);
    it.device.configWrite(at.pm + 4, 2, 3);
    it.backend.fails = isFunctionReset;
    functionReset(it);
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    expect([powerOf(it), it.device.snapshot().decoding.power]).toEqual([3, 3]);
    it.backend.fails = () => false;
    functionReset(it);
    expect([powerOf(it), it.device.snapshot().decoding.power]).toEqual([0, 0]);
  });
});

describe("the VMM's reset", () => {
  test("that fails leaves a sleeping device asleep, with nothing mapped; one that works wakes it", () => {
    using it = attach(device);
    it.device.configWrite(at.pm + 4, 2, 3);
    it.backend.fails = ({ kind }) => kind === "reset";
    expect(() => it.device.reset()).toThrow("reset fails as told");
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    expect([powerOf(it), it.device.snapshot().decoding.power]).toEqual([3, 3]);
    it.backend.fails = () => false;
    it.device.reset();
    it.device.configWrite(0x04, 2, memory);
    expect(it.device.snapshot().decoding.power).toBe(0);
    expect(it.platform.state().slots.length).toBeGreaterThan(0);
  });

  test("throws where the device cannot be kept from DMA; a second try is made", () => {
    using it = attach(device);
    it.device.configWrite(0x04, 2, memory | master);
    let writes = 0;
    const isCommand = (call: Call): boolean => call.kind === "write" && call.offset === 0x04;
    it.backend.fails = (call) => isCommand(call) && writes++ < 1;
    it.device.reset();
    expect([writes, it.device.configRead(0x04, 2)]).toEqual([2, 0]);
    it.backend.fails = isCommand;
    expect(() => it.device.reset()).toThrow("config write of 2 at 0x4 fails");
    expect(it.platform.state().trapped).toEqual([]);
    it.backend.fails = (call) => isCommand(call) || call.kind === "reset";
    expect(() => it.device.reset()).toThrow("reset fails as told");
  });

  test("maps nothing on a device that does not say whether it is awake", () => {
    using it = attach(device);
    it.backend.fails = (call) => call.kind === "read" && call.offset === at.pm + 4;
    it.device.reset();
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state()).toMatchObject({ slots: [], trapped: [] });
    it.backend.fails = () => false;
    // The guest's next word on power tells.
    it.device.configWrite(at.pm + 4, 2, 0);
    expect(it.platform.state().slots.length).toBeGreaterThan(0);
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
    const it = attach(device);
    it.device.configWrite(0x04, 2, memory | master);
    it.device.configWrite(at.msix + 2, 2, 0x8000);
    it.backend.calls.length = 0;
    return it;
  };
  const quiet = ["COMMAND", "interrupts off", "reset", "COMMAND", "interrupts on"];

  test("at attach", () => {
    using it = attach({ ...device, msix: { ...device.msix!, noResize: false } });
    expect(orderOf(it)).toEqual(["COMMAND", "reset", "COMMAND", "interrupts on"]);
  });

  test("by the VMM", () => {
    using it = started();
    it.device.reset();
    expect(orderOf(it)).toEqual(quiet);
  });

  test("by the guest; one that does not arrive gives COMMAND and interrupts back", () => {
    using it = started();
    functionReset(it);
    expect(orderOf(it)).toEqual(quiet);
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

describe("a device that does not come back from a reset", () => {
  const dying = (what: SyntheticDevice): Attached => {
    const it = attach(what);
    it.device.configWrite(0x04, 2, memory | master);
    const reset = it.backend.reset.bind(it.backend);
    it.backend.reset = () => (reset(), it.backend.fallOff());
    return it;
  };

  test.each([true, false])(
    "is an error for the VMM, and nothing of it is mapped (power management: %p)",
    (pm) => {
      using it = dying({ bars: { 0: { size: 0x4000 } }, pm, pcie: true });
      expect(() => it.device.reset()).toThrow(expect.objectContaining({ code: "ENODEV" }));
      it.device.configWrite(0x04, 2, memory | master);
      expect(it.device.configRead(0x04, 2)).toBe(0xffff);
      expect(it.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    },
  );

  test("is an event where the guest reset it, and is mapped again when it answers", () => {
    using it = attach({ bars: { 0: { size: 0x4000 } }, pcie: true });
    const { read, write } = it.backend;
    it.backend.write = (region, offset, data) => {
      write.call(it.backend, region, offset, data);
      if (offset === at.pcie + 8) it.backend.fallOff();
    };
    functionReset(it);
    expect(it.eventsOf("reset-failed")).toHaveLength(1);
    it.backend.read = read;
    it.backend.write = write;
    it.device.configWrite(0x10, 4, 0xd0000000);
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state().slots).toHaveLength(1);
  });
});
