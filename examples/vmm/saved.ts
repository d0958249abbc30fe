// What a saved machine is: the shape of its file.
import type { DeviceSnapshot } from "bun-vfio";
import type { MachineState, VcpuState } from "bun-vfio/kvm";
import { formatBdf, parseBdf } from "bun-vfio/regs";
import { z } from "zod";
import { socketOf } from "./devices/socket-devices.ts";
import { mostInput, registerCount, type SerialState } from "./devices/serial.ts";
import { largestMemory, lastSlot, mostCpus, pageSize, smallestMemory } from "./layout.ts";

/** How the names of the files of memory end, after that of the state. */
export const imageEnds = [".ram", ".ram2"] as const;

export interface SavedPc {
  readonly version: 2;
  /** Bytes of RAM. */
  readonly memory: number;
  /** Which file has the RAM, and what `saveMemory` called it: the two are of one save, or are not restored. */
  readonly image: { readonly end: (typeof imageEnds)[number]; readonly id: string };
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

const byte = z.int().min(0).max(0xff);
/** What the library's own functions check, part by part, when they take it. */
const state = z.looseObject({ version: z.int() });

function isBdf(text: string): boolean {
  try {
    return formatBdf(parseBdf(text)) === text;
  } catch {
    return false;
  }
}

/** What `readSaved` takes; the states in it are checked by what takes them. */
export const savedSchema = z.strictObject({
  version: z.literal(2, "saved by another version of this program"),
  memory: z.int().min(smallestMemory).max(largestMemory).multipleOf(pageSize),
  image: z.strictObject({ end: z.enum(imageEnds), id: z.uuid() }),
  machine: state,
  // By its parts a thread tells a state from a beginning.
  cpus: z
    .array(state.extend({ parts: z.record(z.string(), z.string()) }))
    .min(1)
    .max(mostCpus),
  serial: z.strictObject({
    registers: z.array(byte).length(registerCount),
    hasFifos: z.boolean(),
    tellsEmpty: z.boolean(),
    input: z.array(byte).max(mostInput),
  }),
  configAddress: z.int().min(0).max(0xffff_ffff),
  devices: z
    .array(
      z.strictObject({
        slot: z.int().min(1).max(lastSlot),
        bdf: z
          .string()
          .refine(
            (name) => isBdf(name) || socketOf(name) !== undefined,
            "expected the address of a PCI device such as 0000:01:00.0, or vfio-user:PATH",
          ),
        state,
      }),
    )
    .max(lastSlot)
    .refine((all) => new Set(all.map(({ slot }) => slot)).size === all.length, "a slot has two devices")
    .refine((all) => new Set(all.map(({ bdf }) => bdf)).size === all.length, "a device has two slots"),
});
