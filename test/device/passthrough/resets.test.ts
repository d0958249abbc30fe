import { describe, expect, test } from "bun:test";
import { attach, io, master, memory, type Attached, type Call } from "../../support/attached.ts";
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
