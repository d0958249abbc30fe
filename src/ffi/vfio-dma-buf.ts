// Device memory as a dma-buf (VFIO_DEVICE_FEATURE_DMA_BUF, linux/vfio.h).
import { bytesOf, create, view, wide } from "../regs/ioctl/struct.ts";
import { VfioDeviceFeatureDmaBuf, VfioRegionDmaRange, vfioFeature } from "../regs/ioctl/vfio-feature.ts";
import { openFlag } from "./constants.ts";
import type { IoctlContext } from "./ioctl.ts";
import { getFeature } from "./vfio-feature.ts";

/**
 * A dma-buf over an area of a region, for an IOMMU or a device that is to reach it. Linux 6.19.
 * @param area in bytes, of whole pages
 * @returns a descriptor that the caller closes; whoever imported it loses the memory while the device does not decode
 * @throws VfioError ENOTTY or EOPNOTSUPP where the kernel or the device has none
 */
export function exportDmaBuf(
  device: number,
  region: number,
  area: { readonly offset: number; readonly size: number },
  context: IoctlContext = {},
): number {
  const ask = create(VfioDeviceFeatureDmaBuf, VfioRegionDmaRange.baseSize);
  const bytes = bytesOf(ask);
  ask.region_index = region;
  ask.open_flags = openFlag.RDWR | openFlag.CLOEXEC;
  ask.nr_ranges = 1;
  const range = view(VfioRegionDmaRange, bytes, VfioDeviceFeatureDmaBuf.baseSize);
  range.offset = wide(area.offset);
  range.length = wide(area.size);
  return getFeature(device, vfioFeature.DMA_BUF, bytes, context);
}
