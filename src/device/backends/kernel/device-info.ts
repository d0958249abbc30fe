import { VfioError } from "../../../ffi/errors.ts";
import { getDeviceInfo, getIrqInfo, type DeviceInfo } from "../../../ffi/vfio-device.ts";
import { getRegionInfo, type DeviceRegionInfo } from "../../../ffi/vfio-region.ts";
import { absentIrq, maxIndex } from "../../../image/image.ts";
import type { IrqInfo } from "../../seam/backend.ts";

/** Indexes that every PCI device is described by, if only as absent: up to VGA, and up to REQ. */
const leastRegions = 9;
const leastIrqs = 5;

/** What a device says of itself when it is opened. */
export interface DeviceFacts {
  readonly info: DeviceInfo;
  /** By index, with no gap: an absent region has size 0. */
  readonly regions: readonly DeviceRegionInfo[];
  /** By index, with no gap: an absent one has count 0. */
  readonly irqs: readonly IrqInfo[];
}

/** Asks a device for everything that never changes. @throws VfioError */
export function readFacts(device: number, bdf: string): DeviceFacts {
  const context = { device: bdf };
  const info = getDeviceInfo(device, context);
  if (info.regions > maxIndex + 1 || info.irqs > maxIndex + 1)
    throw new VfioError(
      `${bdf}: ${info.regions} regions and ${info.irqs} interrupt indexes are no PCI device's`,
      {
        code: "EBADINFO",
        device: bdf,
      },
    );
  return {
    info,
    regions: Array.from(
      { length: Math.max(leastRegions, info.regions) },
      (_, index) =>
        present(index < info.regions, () => getRegionInfo(device, index, context)) ?? noRegion(index),
    ),
    irqs: Array.from(
      { length: Math.max(leastIrqs, info.irqs) },
      (_, index) => present(index < info.irqs, () => getIrqInfo(device, index, context)) ?? absentIrq(index),
    ),
  };
}

/** What there is; EINVAL is the kernel's word for a VGA region or an ERR interrupt that the device has not. */
function present<Info>(asked: boolean, ask: () => Info): Info | undefined {
  if (!asked) return undefined;
  try {
    return ask();
  } catch (error) {
    if (error instanceof VfioError && error.code === "EINVAL") return undefined;
    throw error;
  }
}

const noRegion = (index: number): DeviceRegionInfo => ({
  index,
  size: 0,
  offset: 0,
  readable: false,
  writable: false,
  mappable: false,
  sparse: undefined,
  msixMappable: false,
  type: undefined,
  nvlinkTarget: undefined,
  nvlinkSpeed: undefined,
  capabilities: [],
});
