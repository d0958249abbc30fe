// The same accesses to a device of the kernel's and to its recording, and how they are told apart.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioError } from "../../../../src/ffi/errors.ts";
import { imageFromRaw, readImage, type DeviceImage } from "../../../../src/image/index.ts";
import { root } from "../../../support/tree.ts";
import { ways, open } from "./apis.ts";
import { sysDevices, take, type DeviceName } from "./devices.ts";
import { release } from "./rules.ts";

/** Where random tests start: BUN_VFIO_SEED, or always the same. It is part of the tests' names. */
export const seed = Number(process.env.BUN_VFIO_SEED ?? 19088743);

/**
 * The device as it is now, by what sysfs tells of it. What only writing to a device shows, the shipped image says: bits
 * that it keeps, and bytes that it stores though no map describes them.
 */
export function record(name: DeviceName): DeviceImage {
  const bdf = take(name);
  const config = new Uint8Array(readFileSync(`${sysDevices}/${bdf}/config`));
  const resource = readFileSync(`${sysDevices}/${bdf}/resource`, "utf8");
  const { readOnlyBits, writable, keptByReset } = readImage(
    readFileSync(join(root, "images", `${name}.json`), "utf8"),
  );
  // Which interrupts there are goes by the kernel, too.
  const host = { kernel: `Linux ${release}` };
  return { ...imageFromRaw({ bdf, config, resource, host }), readOnlyBits, writable, keptByReset };
}

/** Both, freshly opened. @param change makes a false recording of the true one */
export function openBoth(
  name: DeviceName,
  change: (image: DeviceImage) => DeviceImage = (image) => image,
): { kernel: KernelDevice; recorded: RecordedDevice } & Disposable {
  const recording = record(name);
  const before = recording.config;
  const image = change(recording);
  const both = new DisposableStack();
  both.defer(() => restore(image.bdf, before));
  const kernel = both.use(open(image.bdf, ways[0]!));
  const recorded = both.use(new RecordedDevice(image));
  return { kernel, recorded, [Symbol.dispose]: () => both[Symbol.dispose]() };
}

/** Writes what config space held, where it holds another value: no reset clears all bytes that a device stores. */
function restore(bdf: string, before: Uint8Array): void {
  const path = `${sysDevices}/${bdf}/config`;
  const now = readFileSync(path);
  using file = new DisposableStack();
  const fd = openSync(path, "r+");
  file.defer(() => closeSync(fd));
  for (const [at, value] of before.entries())
    if (now[at] !== value) writeSync(fd, Uint8Array.of(value), 0, 1, at);
}

/** What an access came to: `ok`, or the code of its error. */
export function outcome(act: () => void): string {
  try {
    act();
    return "ok";
  } catch (error) {
    if (error instanceof VfioError) return error.code;
    throw error;
  }
}

/** Memory for the kernel to fill: it starts as an ArrayBuffer, since small arrays of other kinds move. */
export const bytes = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(size));
export const hex = (value: number): string => value.toString(16).padStart(2, "0");

/** The last of what was done, for messages. */
export class Trail {
  readonly #last: string[] = [];
  add(step: string): void {
    this.#last.push(step);
    if (this.#last.length > 6) this.#last.shift();
  }
  toString(): string {
    return this.#last.join(", ");
  }
}
