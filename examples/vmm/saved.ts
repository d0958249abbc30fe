// What a saved machine is: the shape of its file, checked when it is read.
import { readFileSync, statSync } from "node:fs";
import { VfioError, type DeviceSnapshot } from "bun-vfio";
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

/** Bytes of a file: some 100 KiB for a CPU, and for a device. */
const largestFile = 64 * 2 ** 20;
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

const schema = z.strictObject({
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
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw bad(`this is no saved machine: ${path.length === 0 ? "" : `${path.join(".")}: `}${message}`);
  }
  const saved = parsed.data as unknown as SavedPc;
  return { ...saved, ram: `${file}${saved.image.end}` };
}
