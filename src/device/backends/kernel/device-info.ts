import { VfioError } from "../../../ffi/errors.ts";
import { getDeviceInfo, getIrqInfo, type DeviceInfo } from "../../../ffi/vfio-device.ts";
import { getRegionInfo, type DeviceRegionInfo } from "../../../ffi/vfio-region.ts";
import { absentIrq, irqCount, type IrqInfo } from "../../../regs/vfio/irqs.ts";
import { absentRegion, maxIndex, regionCount } from "../../../regs/vfio/regions.ts";

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
      { length: Math.max(regionCount, info.regions) },
      (_, index) =>
        present(index < info.regions, () => getRegionInfo(device, index, context)) ?? noRegion(index),
    ),
    irqs: Array.from(
      { length: Math.max(irqCount, info.irqs) },
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
  ...absentRegion(index),
  offset: 0,
  sparse: undefined,
  type: undefined,
  nvlinkTarget: undefined,
  nvlinkSpeed: undefined,
  capabilities: [],
});
