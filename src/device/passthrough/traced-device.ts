// What a trace is told of the device that it is about.
import type { DeviceBackend } from "../seam/backend.ts";
import type { Platform } from "../seam/platform.ts";
import { windowNames, type TracedDevice } from "../seam/trace.ts";
import type { AttachOptions } from "./options.ts";

export function tracedDevice(
  { name, regions, irqs, resettable }: DeviceBackend,
  config: Uint8Array,
  { pageSize, addresses, bus, dma }: Platform,
  options: AttachOptions,
): TracedDevice {
  const { onEvent: _, trace: __, ...plain } = options;
  const windows = windowNames.map((window) => {
    const { base, size } = addresses[window] ?? {};
    return base === undefined || size === undefined ? undefined : { base, size };
  });
  return {
    ...{ name, regions, irqs, resettable, config, pageSize, windows, options: { ...plain } },
    peers: dma !== undefined,
    keepsFree: bus.keepFree !== undefined,
  };
}
