// A flight recorder's recording as a page has it: the file as it is, compressed, and the device that was attached.
import { VfioError } from "../ffi/errors.ts";
import type { DeviceImage } from "../image/image.ts";
import type { AttachOptions } from "../device/passthrough/options.ts";
import { flightSize, header } from "../device/replay/flight-format.ts";
import type { FlightRecording } from "../device/replay/read-flight.ts";
import type { TracedDevice } from "../device/seam/trace.ts";
import { deviceData } from "./device-data.ts";
import type { DeviceData, FlightData } from "./page-data.ts";

/** Entries that a page takes: a browser has all of them in memory. */
export const maxPageEntries = 2 ** 22;

/** @throws VfioError where there are more than `maxPageEntries` */
export function flightData(
  bytes: Uint8Array,
  recording: FlightRecording,
  name: string,
): { readonly flight: FlightData; readonly device: DeviceData | undefined } {
  const kept = recording.count - recording.lost;
  if (kept > maxPageEntries)
    throw new VfioError(`${name}: it has ${kept} entries; a page takes ${maxPageEntries}`, {
      code: "E2BIG",
      hint: "bun-vfio trace prints it.",
    });
  // Fast rather than small: a recording is mostly zeros.
  const compressed = Bun.gzipSync(usedBytes(bytes, recording), { level: 1 });
  return {
    flight: { name, bytes: compressed.toBase64() },
    device: recording.device && tracedData(recording.device, name),
  };
}

/** The file without what of its ring was never written: as if it had no more entries than it holds. */
function usedBytes(bytes: Uint8Array, { count, lost }: FlightRecording): Uint8Array<ArrayBuffer> {
  if (lost > 0) return new Uint8Array(bytes);
  const entries = Math.max(1, count);
  const used = new Uint8Array(bytes.subarray(0, flightSize(entries)));
  new DataView(used.buffer).setFloat64(header.capacity, entries, true);
  return used;
}

function tracedData(device: TracedDevice, source: string): DeviceData {
  const { name, config, regions, irqs, resettable, pageSize, windows, peers, options } = device;
  const image: DeviceImage = {
    ...{ version: 1, bdf: name, config, resettable, host: {} },
    regions: regions.filter(({ size }) => size > 0),
    irqs: irqs.filter(({ count }) => count > 0),
  };
  const [mmio32, mmio64, io = false] = windows;
  return deviceData(image, {
    name,
    source,
    facts: Object.entries(options).map(([option, value]) => [
      `attached with ${option}`,
      JSON.stringify(value),
    ]),
    guest: {
      platform: { pageSize, windows: { mmio32, mmio64, io }, dma: peers },
      attach: options as AttachOptions,
    },
  });
}
