// What a trace is told of the device that it is about.
import type { IrqInfo } from "../../regs/vfio/irqs.ts";
import type { RegionInfo } from "../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import type { Platform } from "../seam/platform.ts";
import { windowNames, type TracedDevice } from "../seam/trace.ts";
import type { AttachOptions } from "./options.ts";

/** Its own facts alone: a backend's may have more to it, that JSON cannot hold. */
const factsOfRegion = (region: RegionInfo): RegionInfo => {
  const { index, size, readable, writable, mappable, sparse, msixMappable, type } = region;
  return {
    ...{ index, size, readable, writable, mappable, msixMappable },
    ...(sparse && { sparse: sparse.map((area) => ({ offset: area.offset, size: area.size })) }),
    ...(type && { type: { type: type.type, subtype: type.subtype } }),
  };
};
const factsOfIrq = ({ index, count, eventfd, maskable, automasked, noResize }: IrqInfo): IrqInfo => ({
  ...{ index, count, eventfd, maskable, automasked, noResize },
});

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
    ...{ name, resettable, config, pageSize, windows, options: { ...plain } },
    regions: regions.map(factsOfRegion),
    irqs: irqs.map(factsOfIrq),
    peers: dma !== undefined,
    keepsFree: bus.keepFree !== undefined,
  };
}
