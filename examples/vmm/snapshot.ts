// A machine as a file: what the CPUs, the chips and the devices are, as JSON, and beside it the guest's memory.
//
// Of a passed-through device it is what the library knows: config space, BARs, interrupts. What is inside of the device, its
// queues or its link, no kernel interface gives without a driver for migration: the guest's driver finds a device that was
// reset, as after a power cut, and has to set it up anew. Unplug it before, or restore what can bear that.
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { ConfigAddressPort, VfioError, type DeviceSnapshot } from "bun-vfio";
import { restoreMachine, saveMachine, type MachineState, type VcpuState } from "bun-vfio/kvm";
import { largestMemory, lastSlot, MiB, mostCpus } from "./layout.ts";
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

/** Bytes at once. */
const chunk = 4 * MiB;

/** Each piece of RAM with its place in the file. */
function* pieces({ ram }: Pc): Generator<{ bytes: Uint8Array; at: number }> {
  let at = 0;
  for (const { gpa, size } of ram.parts)
    for (let offset = 0; offset < size; offset += chunk) {
      const bytes = ram.view(gpa + offset, Math.min(chunk, size - offset));
      yield { bytes, at };
      at += bytes.length;
    }
}

/** RAM as it lies in the guest, without the hole. */
const ramOf = (file: string): string => `${file}.ram`;

/** @param file gets the state, and `FILE.ram` the memory */
export function savePc(pc: Pc, cpus: readonly VcpuState[], file: string): void {
  const saved: SavedPc = {
    ...{ version: 1, memory: pc.ram.size, machine: saveMachine(pc.machine), cpus },
    ...{ serial: pc.serial.state, configAddress: pc.pci.port.value },
    devices: [...pc.devices.list].map(([slot, { bdf, device }]) => ({ slot, bdf, state: device.snapshot() })),
  };
  const out = openSync(ramOf(file), "w");
  try {
    // Pages that the guest never wrote stay holes.
    ftruncateSync(out, pc.ram.size);
    const zeros = Buffer.alloc(chunk);
    for (const { bytes, at } of pieces(pc))
      if (zeros.compare(bytes, 0, bytes.length, 0, bytes.length) !== 0)
        writeSync(out, bytes, 0, bytes.length, at);
  } finally {
    closeSync(out);
  }
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

/** All but CPUs and devices, which are made from their states. */
export function restorePc(pc: Pc, saved: LoadedPc): void {
  const input = openSync(saved.ram, "r");
  try {
    for (const { bytes, at } of pieces(pc))
      if (readSync(input, bytes, 0, bytes.length, at) !== bytes.length)
        throw new VfioError(`${saved.ram} is shorter than the guest's memory`, { code: "EBADSTATE" });
  } finally {
    closeSync(input);
  }
  restoreMachine(pc.machine, saved.machine);
  pc.serial.state = saved.serial;
  pc.pci.port = new ConfigAddressPort(saved.configAddress);
}
