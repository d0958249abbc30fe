import {
  extendedStart,
  layoutOf,
  standardStart,
  walkCapabilities,
  walkExtendedCapabilities,
  type ConfigLayout,
  type Walk,
} from "../regs/index.ts";
import { RegionIndex, type DeviceBackend } from "./backend.ts";
import { VfioError } from "../ffi/errors.ts";

/** A device's config space as read at attach, and what was found in it. */
export interface ConfigImage {
  readonly bytes: Uint8Array;
  readonly layout: ConfigLayout;
}

/** Bytes of a backend's config space. @throws VfioError for anything but 256 and 4096 */
export function configSizeOf(backend: DeviceBackend): 256 | 4096 {
  const size = backend.regions[RegionIndex.config]?.size ?? 0;
  if (size === 256 || size === 4096) return size;
  throw new VfioError(`${backend.name}: config space has ${size} bytes; a PCI device has 256 or 4096`, {
    code: "ENODEV",
    device: backend.name,
  });
}

/**
 * Reads all of config space in a few reads, leaving out registers whose read has a side effect.
 * @throws VfioError where the device does not answer or has no type 0 header
 */
export function readConfigImage(backend: DeviceBackend): ConfigImage {
  const size = configSizeOf(backend);
  const bytes = new Uint8Array(new ArrayBuffer(size));
  const read = (from: number, to: number): void => {
    if (to > from) backend.read(RegionIndex.config, from, bytes.subarray(from, to));
  };
  read(0, standardStart);
  if (bytes[0] === 0xff && bytes[1] === 0xff)
    throw new VfioError(`${backend.name}: config space reads all ones`, {
      code: "ENODEV",
      device: backend.name,
      hint: "The device is gone, or stuck in a low-power state: check that it shows in lspci, and reset it.",
    });
  if ((bytes[0x0e]! & 0x7f) !== 0)
    throw new VfioError(`${backend.name}: header type ${bytes[0x0e]! & 0x7f} is not an endpoint's`, {
      code: "EINVAL",
      device: backend.name,
      hint: "Bridges cannot be passed through; pass the devices behind them.",
    });
  // First the heads of the lists alone: they tell which registers must not be read.
  readHeads(read, bytes[0x34]! & 0xfc, standardStart, () => walkCapabilities(bytes));
  if (size > 256) readHeads(read, extendedStart, extendedStart, () => walkExtendedCapabilities(bytes));
  const precious = new Uint8Array(size);
  for (const { offset, map } of layoutOf(bytes).capabilities) precious.set(map.masks.precious, offset);
  for (let at = standardStart; at < size; at++) {
    const from = at;
    while (at < size && !precious[at]) at++;
    read(from, at);
  }
  return { bytes, layout: layoutOf(bytes) };
}

/**
 * Reads the first dword of each capability of a list. The walker, run again after each, finds the next one:
 * it is bounded and no offset is read twice.
 */
function readHeads(
  read: (from: number, to: number) => void,
  start: number,
  lowest: number,
  walk: () => Walk,
): void {
  const done = new Set<number>();
  for (let at: number | undefined = start; at !== undefined && at >= lowest;) {
    read(at, at + 4);
    done.add(at);
    at = walk()
      .found.map(({ next }) => next & 0xffc)
      .find((next) => next >= lowest && !done.has(next));
  }
}
