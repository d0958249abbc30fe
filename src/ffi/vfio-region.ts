// Regions of a device (linux/vfio.h), with all that their capabilities say.
import { bytesOf, view } from "../regs/ioctl/struct.ts";
import {
  VfioRegionInfo,
  VfioRegionInfoCapNvlink2Lnkspd,
  VfioRegionInfoCapNvlink2Ssatgt,
  VfioRegionInfoCapSparseMmap,
  VfioRegionInfoCapType,
  VfioRegionSparseMmapArea,
  vfioPciRegion,
  vfioRegionCapability,
  vfioRegionFlag,
} from "../regs/ioctl/vfio-region.ts";
import type { RegionInfo } from "../regs/vfio/regions.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { exact, valueName, type IoctlContext, type IoctlWhat } from "./ioctl.ts";
import { askInfo, capabilityView, infoCapabilities, malformed, type InfoCapability } from "./vfio-info.ts";

/** The most areas that a sparse region may have. */
const maxAreas = 4096;

/** What the kernel says of one region (VFIO_DEVICE_GET_REGION_INFO). */
export interface DeviceRegionInfo extends RegionInfo {
  /** In the device file, bytes. */
  readonly offset: number;
  /** NVLink2: base of the short address window. */
  readonly nvlinkTarget: bigint | undefined;
  /** Of an NVLink on POWER9; undefined of any other region. */
  readonly nvlinkSpeed: number | undefined;
  /** All of them, those above too. */
  readonly capabilities: readonly InfoCapability[];
}

/** VFIO_DEVICE_GET_REGION_INFO. @throws VfioError EINVAL for a region that the device does not have, as VGA */
export function getRegionInfo(device: number, index: number, context: IoctlContext = {}): DeviceRegionInfo {
  const what = {
    ...context,
    request: () => `VFIO_DEVICE_GET_REGION_INFO ${valueName(vfioPciRegion, index)}`,
  };
  const info = askInfo(
    device,
    vfioRequest.DEVICE_GET_REGION_INFO,
    VfioRegionInfo,
    (region) => void (region.index = index),
    what,
  );
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const first = has(vfioRegionFlag.CAPS) ? info.cap_offset : 0;
  const capabilities = infoCapabilities(bytesOf(info), first, VfioRegionInfo.baseSize, what);
  const find = (id: number): Uint8Array | undefined => capabilities.find((one) => one.id === id)?.bytes;
  const sparse = find(vfioRegionCapability.SPARSE_MMAP);
  const type = find(vfioRegionCapability.TYPE);
  const target = find(vfioRegionCapability.NVLINK2_SSATGT);
  const speed = find(vfioRegionCapability.NVLINK2_LNKSPD);
  return {
    index,
    size: exact(info.size, "the size of a region"),
    offset: exact(info.offset, "the offset of a region"),
    readable: has(vfioRegionFlag.READ),
    writable: has(vfioRegionFlag.WRITE),
    mappable: has(vfioRegionFlag.MMAP),
    sparse: sparse && sparseAreas(sparse, what),
    msixMappable: find(vfioRegionCapability.MSIX_MAPPABLE) !== undefined,
    type: type && typeOf(type, what),
    nvlinkTarget: target && capabilityView(VfioRegionInfoCapNvlink2Ssatgt, target, what).tgt,
    nvlinkSpeed: speed && capabilityView(VfioRegionInfoCapNvlink2Lnkspd, speed, what).link_speed,
    capabilities,
  };
}

function sparseAreas(bytes: Uint8Array, what: IoctlWhat): { offset: number; size: number }[] {
  const { nr_areas: count } = capabilityView(VfioRegionInfoCapSparseMmap, bytes, what);
  const start = VfioRegionInfoCapSparseMmap.baseSize;
  const each = VfioRegionSparseMmapArea.baseSize;
  if (count > maxAreas || start + count * each > bytes.byteLength)
    throw malformed(what, `has ${count} sparse areas in ${bytes.byteLength} bytes`);
  return Array.from({ length: count }, (_, index) => {
    const { offset, size } = view(VfioRegionSparseMmapArea, bytes, start + index * each);
    return { offset: exact(offset, "the offset of an area"), size: exact(size, "the size of an area") };
  });
}

function typeOf(bytes: Uint8Array, what: IoctlWhat): { type: number; subtype: number } {
  const { type, subtype } = capabilityView(VfioRegionInfoCapType, bytes, what);
  return { type, subtype };
}
