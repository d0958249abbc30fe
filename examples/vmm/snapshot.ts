// A machine as a file, and a file as a machine: what the CPUs, the chips and the devices are, as JSON, and beside it the guest's memory.
//
// Of a passed-through device it is what the library knows: config space, BARs, interrupts. What is inside of the device, its
// queues or its link, no kernel interface gives without a driver for migration: the guest's driver finds a device that was
// reset, as after a power cut, and has to set it up anew. Unplug it before, or restore what can bear that.
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { VfioError, type VfioPciDevice } from "bun-vfio";
import { writeDurably } from "bun-vfio/ffi";
import { saveMachine, saveMemory, type VcpuState, type VcpuThreads } from "bun-vfio/kvm";
import { endpointHeader } from "bun-vfio/regs";
import type { Pc } from "./pc.ts";
import { imageEnds, savedSchema, type LoadedPc, type SavedPc } from "./saved.ts";

/** Bytes of a file: some 100 KiB for a CPU, and for a device. */
const largestFile = 64 * 2 ** 20;

const command = endpointHeader.register("command");
const busMaster = endpointHeader.field("command.busMaster");
const noIntx = endpointHeader.field("command.interruptDisable");

/**
 * Saves a machine that stands still. Its devices write to no memory and send no interrupt then, until it is disposed of. Where
 * something fails, they do again, the machine can run on, and what was saved before is as it was.
 * @param file gets the state; the memory goes beside it, to the one of two names that the state of before has not
 * @throws VfioError: `EAGAIN` where it can be saved a moment later, others where a part cannot say what it is, or the disk is full
 */
export async function savePc(pc: Pc, cpus: VcpuThreads, file: string): Promise<void> {
  const { machine, ram, serial, pci, devices } = pc;
  // Before a device is touched: this fails the most often.
  await statesOf(cpus);
  using going = new DisposableStack();
  const states = [...devices.list].map(([slot, { bdf, device }]) => {
    const before = going.use(quiet(device));
    const state = device.snapshot();
    return { slot, bdf, state: { ...state, decoding: { ...state.decoding, command: before.command } } };
  });
  const saved: Omit<SavedPc, "image"> = {
    // What the devices have sent until now is in the CPUs' states.
    ...{ version: 2, memory: ram.size, cpus: await statesOf(cpus), machine: saveMachine(machine) },
    ...{ serial: serial.state, configAddress: pci.port.value, devices: states },
  };
  const before = imageOf(file);
  const end = imageEnds.find((other) => other !== before?.end)!;
  const image = { end, id: saveMemory(ram, `${file}${end}`) };
  try {
    // From here on this is the machine that was saved, and not the one before.
    writeDurably(file, JSON.stringify({ ...saved, image } satisfies SavedPc), { secret: true });
  } catch (error) {
    rmSync(`${file}${end}`, { force: true });
    throw error;
  }
  going.move();
  if (before?.isKnown) rmSync(`${file}${before.end}`, { force: true });
}

/** @throws VfioError (`EAGAIN`) */
async function statesOf(cpus: VcpuThreads): Promise<readonly VcpuState[]> {
  const states = await cpus.save();
  if (states) return states;
  throw new VfioError("a CPU is in the middle of an instruction that takes several accesses", {
    code: "EAGAIN",
    hint: "Save the machine at another time.",
  });
}

/** A device that does nothing by itself; disposing of it lets the device go on. */
interface Quiet extends Disposable {
  /** COMMAND as the guest has it. */
  readonly command: number;
}

/** @throws VfioError (`EIO`) where the device does not stop */
function quiet(device: VfioPciDevice): Quiet {
  const { at, size } = command;
  const before = device.configRead(at, size);
  const quiet = { command: before, [Symbol.dispose]: () => device.configWrite(at, size, before) };
  using failed = new DisposableStack();
  failed.use(quiet);
  device.configWrite(at, size, noIntx.with(busMaster.with(before, false), true));
  if (busMaster.of(device.configRead(at, size)))
    throw new VfioError(`${device.name} does not stop its DMA`, { code: "EIO", device: device.name });
  failed.move();
  return quiet;
}

/** The memory of the machine that was saved there before; undefined where none was. */
function imageOf(
  file: string,
): { readonly end: SavedPc["image"]["end"]; readonly isKnown: boolean } | undefined {
  try {
    return { end: readSaved(file).image.end, isKnown: true };
  } catch {
    // Whatever it is, what may be its memory is left alone.
    return existsSync(file) ? { end: imageEnds[0], isKnown: false } : undefined;
  }
}

/**
 * @param file that `savePc` wrote
 * @throws VfioError (`EBADSTATE`) with the place where it is none; the states in it are checked by what takes them
 */
export function readSaved(file: string): LoadedPc {
  const bad = (why: string): VfioError =>
    new VfioError(`${file}: ${why}`, { code: "EBADSTATE", hint: "Give the file that --snapshot named." });
  const { size } = statSync(file);
  if (size > largestFile) throw bad(`this is no saved machine: it has ${size} bytes`);
  const text = readFileSync(file, "utf8");
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw bad("this is no saved machine: it is no JSON");
  }
  const parsed = savedSchema.safeParse(content);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw bad(`this is no saved machine: ${path.length === 0 ? "" : `${path.join(".")}: `}${message}`);
  }
  const saved = parsed.data as unknown as SavedPc;
  return { ...saved, ram: `${file}${saved.image.end}` };
}
