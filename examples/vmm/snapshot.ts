// A machine as a file: what the CPUs, the chips and the devices are, as JSON, and beside it the guest's memory.
//
// Of a passed-through device it is what the library knows: config space, BARs, interrupts. What is inside of the device, its
// queues or its link, no kernel interface gives without a driver for migration: the guest's driver finds a device that was
// reset, as after a power cut, and has to set it up anew. Unplug it before, or restore what can bear that.
import { readFileSync, writeFileSync } from "node:fs";
import { VfioError, type DeviceSnapshot } from "bun-vfio";
import { saveMachine, saveMemory, type MachineState, type VcpuState, type VcpuThreads } from "bun-vfio/kvm";
import { largestMemory, lastSlot, mostCpus } from "./layout.ts";
import type { Pc } from "./pc.ts";
import type { SerialState } from "./devices/serial.ts";

export interface SavedPc {
  readonly version: 1;
  /** Bytes of RAM. */
  readonly memory: number;
  readonly machine: MachineState;
  readonly cpus: readonly VcpuState[];
  readonly serial: SerialState;
  /** CONFIG_ADDRESS. */
  readonly configAddress: number;
  readonly devices: readonly {
    readonly slot: number;
    readonly bdf: string;
    readonly state: DeviceSnapshot;
  }[];
}

/** One that was read, with the file of its memory. */
export interface LoadedPc extends SavedPc {
  readonly ram: string;
}

/** RAM as it lies in the guest, without the hole. */
const ramOf = (file: string): string => `${file}.ram`;

/**
 * Saves a machine that stands still, and takes its devices away, so that it can only be disposed of.
 * @param file gets the state, and `FILE.ram` the memory
 * @throws VfioError where a part cannot say what it is
 */
export async function savePc(pc: Pc, cpus: VcpuThreads, file: string): Promise<void> {
  const { machine, ram, serial, pci, devices } = pc;
  const taken = [...devices.list].map(([slot, { bdf, device }]) => {
    const state = device.snapshot();
    // From here on it writes to no memory and sends no interrupt; what it has sent is in the CPUs' state, which comes next.
    devices.remove(slot);
    return { slot, bdf, state };
  });
  const states = await cpus.save();
  if (!states)
    throw new VfioError("a CPU is in the middle of an instruction that takes several accesses", {
      code: "EAGAIN",
      hint: "Save the machine at another time.",
    });
  const saved: SavedPc = {
    ...{ version: 1, memory: ram.size, machine: saveMachine(machine), cpus: states },
    ...{ serial: serial.state, configAddress: pci.port.value, devices: taken },
  };
  saveMemory(ram, ramOf(file));
  writeFileSync(file, JSON.stringify(saved));
}

/** @throws VfioError (`EBADSTATE`) where it is none; its parts are checked by those that take them */
export function readSaved(file: string): LoadedPc {
  const bad = (why: string): VfioError =>
    new VfioError(`${file}: ${why}`, { code: "EBADSTATE", hint: "Give the file that --snapshot named." });
  let saved: Partial<SavedPc> | null;
  try {
    saved = JSON.parse(readFileSync(file, "utf8")) as Partial<SavedPc> | null;
  } catch (error) {
    if (error instanceof SyntaxError) throw bad("this is no saved machine");
    throw error;
  }
  const isList = (list: unknown, most: number): boolean => Array.isArray(list) && list.length <= most;
  if (saved?.version !== 1 || !isList(saved.cpus, mostCpus) || !isList(saved.devices, lastSlot))
    throw bad("this is no saved machine");
  if (!(Number(saved.memory) <= largestMemory)) throw bad("it has more memory than a machine can have");
  return { ...(saved as SavedPc), ram: ramOf(file) };
}
