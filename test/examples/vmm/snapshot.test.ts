// Saving a machine where that fails, at each step: the machine runs on, and what was saved before is whole.
import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VfioError } from "bun-vfio";
import { loadMemory, type VcpuThreads } from "bun-vfio/kvm";
import type { Pc } from "../../../examples/vmm/pc.ts";
import { readSaved, savePc } from "../../../examples/vmm/snapshot.ts";
import { attach } from "../../support/attached.ts";
import { fakeIoctl } from "../../support/fake-ioctl.ts";
import { testNeeding } from "../../support/needing.ts";
import { Ram } from "../../support/ram.ts";
import { noSmallFileSystem, SmallFileSystem } from "../../support/small-file-system.ts";
import { savedPc } from "./support/saved-pc.ts";

const mib = 2 ** 20;
const command = 0x04;
const busMaster = 0x04;
const folder = fs.mkdtempSync(join(tmpdir(), "saved-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A machine that stands still: its kernel answers every request with zeros, its device is a recorded one that does DMA. */
function machine(fill: number, written = mib) {
  const guest = attach({ bars: [{ size: 0x1000 }] });
  guest.device.configWrite(command, 2, 0x0006);
  const ram = new Ram(64 * mib);
  ram.view(0, written).fill(fill);
  const removed: number[] = [];
  const pc = {
    machine: { fd: 3, irqchip: "split", pit: false },
    ram,
    serial: { state: savedPc.serial },
    pci: { port: { value: 7 } },
    devices: {
      list: new Map([[1, { bdf: "0000:02:00.0", device: guest.device }]]),
      remove: (slot: number) => removed.push(slot),
    },
  } as unknown as Pc;
  /** What the CPUs say of themselves, one time after the other; the last for ever. */
  const states: (unknown[] | undefined)[] = [savedPc.cpus];
  /** COMMAND of the device itself when the CPUs were asked. */
  const commands: number[] = [];
  const cpus = {
    save: async () => {
      const data = new Uint8Array(2);
      guest.backend.read(7, command, data);
      commands.push(data[0]! + 256 * data[1]!);
      return states.length > 1 ? states.shift() : states[0];
    },
  } as unknown as VcpuThreads;
  const save = async (file: string): Promise<unknown> => {
    using _ = fakeIoctl();
    return await savePc(pc, cpus, file).catch((error: unknown) => error);
  };
  const runsOn = (): boolean => {
    const now = guest.device.configRead(command, 2);
    const data = new Uint8Array(2);
    guest.backend.read(7, command, data);
    return removed.length === 0 && now === 0x0006 && (data[0]! & busMaster) !== 0 && !guest.device.closed;
  };
  const dispose = (): void => {
    ram[Symbol.dispose]();
    guest[Symbol.dispose]();
  };
  return { guest, states, commands, save, runsOn, [Symbol.dispose]: dispose };
}

/** The first byte of the memory that belongs to a saved machine. */
function memoryOf(file: string): number {
  const { ram, image } = readSaved(file);
  using back = new Ram(64 * mib);
  loadMemory(back, ram, image.id);
  return back.view(0, 1)[0]!;
}

test("the devices are quiet before the CPUs are saved for good; state and memory are their owner's, and of one save", async () => {
  const file = join(folder, "first");
  using pc = machine(1);
  expect(await pc.save(file)).toBeUndefined();
  expect(pc.commands).toEqual([0x0006, 0x0402]);
  expect(fs.readdirSync(folder)).toEqual(["first", "first.ram"]);
  for (const name of fs.readdirSync(folder)) expect(fs.statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  expect(readSaved(file)).toMatchObject({ memory: 64 * mib, configAddress: 7, devices: [{ slot: 1 }] });
  expect(memoryOf(file)).toBe(1);
  // As the guest had it.
  expect(readSaved(file).devices[0]!.state.decoding.command).toBe(0x0006);
});

test("a second save goes to the other name, and takes the first away at its end; a third goes back", async () => {
  const file = join(folder, "again");
  for (const fill of [1, 2, 3]) {
    using pc = machine(fill);
    expect(await pc.save(file)).toBeUndefined();
    expect(memoryOf(file)).toBe(fill);
    const names = fs.readdirSync(folder).filter((name) => name.startsWith("again"));
    expect(names).toEqual(["again", fill === 2 ? "again.ram2" : "again.ram"]);
  }
});

test("memory of another save is refused, whichever of the two files was exchanged", async () => {
  const [one, other] = [join(folder, "one"), join(folder, "other")];
  for (const [file, fill] of [
    [one, 1],
    [other, 2],
  ] as const) {
    using pc = machine(fill);
    await pc.save(file);
  }
  fs.renameSync(`${other}.ram`, `${one}.ram`);
  expect(() => memoryOf(one)).toThrow(expect.objectContaining({ code: "EBADSTATE" }));
});

test("a CPU that cannot be saved now is found out before a device is touched", async () => {
  using pc = machine(1);
  pc.states[0] = undefined;
  expect(await pc.save(join(folder, "none"))).toMatchObject({ code: "EAGAIN" });
  expect([pc.commands, pc.runsOn(), fs.existsSync(join(folder, "none"))]).toEqual([[0x0006], true, false]);
});

test("a CPU that cannot be saved later has the devices go on", async () => {
  using pc = machine(1);
  pc.states.push(undefined);
  expect(await pc.save(join(folder, "none"))).toMatchObject({ code: "EAGAIN" });
  expect([pc.commands, pc.runsOn(), fs.existsSync(join(folder, "none"))]).toEqual([
    [0x0006, 0x0402],
    true,
    false,
  ]);
});

test("a device that does not answer, or does not stop, is no reason to take it away", async () => {
  using pc = machine(1);
  pc.guest.backend.fails = ({ kind }) => kind === "write";
  expect(await pc.save(join(folder, "none"))).toBeInstanceOf(VfioError);
  pc.guest.backend.fails = ({ kind }) => kind === "read";
  expect(await pc.save(join(folder, "none"))).toBeInstanceOf(VfioError);
  pc.guest.backend.fails = () => false;
  expect([pc.runsOn(), fs.existsSync(join(folder, "none"))]).toEqual([true, false]);
});

test("a place that takes no file has the devices go on", async () => {
  using pc = machine(1);
  expect(await pc.save(join(folder, "no/folder"))).toMatchObject({ code: "ENOENT" });
  fs.mkdirSync(join(folder, "taken"));
  expect(await pc.save(join(folder, "taken"))).toMatchObject({ code: "EISDIR" });
  expect([pc.runsOn(), fs.existsSync(join(folder, "taken.ram"))]).toEqual([true, false]);
});

test("what is there and no saved machine keeps its files", async () => {
  const file = join(folder, "old");
  fs.writeFileSync(file, JSON.stringify({ ...savedPc, version: 1 }));
  fs.writeFileSync(`${file}.ram`, "memory of before");
  using pc = machine(4);
  expect(await pc.save(file)).toBeUndefined();
  expect([memoryOf(file), fs.readFileSync(`${file}.ram`, "utf8")]).toEqual([4, "memory of before"]);
});

testNeeding(
  noSmallFileSystem(),
  "a disk that becomes full keeps the old state with the old memory, and the machine runs on",
  async () => {
    using small = new SmallFileSystem(6 * mib);
    const file = small.at("machine");
    {
      using old = machine(1);
      expect(await old.save(file)).toBeUndefined();
    }
    using next = machine(2, 6 * mib);
    expect(await next.save(file)).toMatchObject({ code: "ENOSPC" });
    expect(next.runsOn()).toBe(true);
    expect([memoryOf(file), fs.readdirSync(small.path).sort()]).toEqual([1, ["machine", "machine.ram"]]);
    using last = machine(3);
    expect(await last.save(file)).toBeUndefined();
    expect([memoryOf(file), fs.readdirSync(small.path).sort()]).toEqual([3, ["machine", "machine.ram2"]]);
  },
  20_000,
);
