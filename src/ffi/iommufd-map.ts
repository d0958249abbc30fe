// Mapping memory into an address space of an iommufd (linux/iommufd.h), over structs that are made once: a virtual
// IOMMU maps and unmaps often.
import {
  IommuIoasMap,
  IommuIoasMapFile,
  IommuIoasUnmap,
  iommuIoasMapFlag,
} from "../regs/ioctl/iommufd-ioas.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { bytesOf, create, wide } from "../regs/ioctl/struct.ts";
import { lazy } from "../regs/lazy.ts";
import { flagNames, ioctl, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

const mapRequest = lazy(() => {
  const map = create(IommuIoasMap);
  map.size = IommuIoasMap.baseSize;
  return map;
});
const mapFileRequest = lazy(() => {
  const mapFile = create(IommuIoasMapFile);
  mapFile.size = IommuIoasMapFile.baseSize;
  return mapFile;
});
const unmapRequest = lazy(() => {
  const unmap = create(IommuIoasUnmap);
  unmap.size = IommuIoasUnmap.baseSize;
  return unmap;
});
const noTty = 25;

/**
 * IOMMU_IOAS_MAP.
 * @param flags of `iommuIoasMapFlag`: what the device may do, and whether `iova` is asked for or given
 * @param address HVA @param size in bytes @param iova of whole pages, as the address and the size
 * @returns the IOVA
 */
export function mapIoas(
  iommufd: number,
  ioas: number,
  flags: number,
  address: number | bigint,
  size: number | bigint,
  iova: number | bigint,
  context: IoctlContext = {},
): bigint {
  const map = mapRequest();
  map.flags = flags;
  map.ioas_id = ioas;
  map.user_va = wide(address);
  map.length = wide(size);
  map.iova = wide(iova);
  ioctl(iommufd, iommufdRequest.IOAS_MAP, bytesOf(map), {
    ...context,
    request: () =>
      `IOMMU_IOAS_MAP ${ioas} ${flagNames(iommuIoasMapFlag, flags)} iova ${hex(iova)} size ${hex(size)} address ${hex(address)}`,
  });
  return map.iova;
}

/** IOMMU_IOAS_MAP_FILE: as `mapIoas`, of a memfd from byte `start`. Linux 6.13. @returns the IOVA */
export function mapIoasFile(
  iommufd: number,
  ioas: number,
  flags: number,
  file: number,
  start: number | bigint,
  size: number | bigint,
  iova: number | bigint,
  context: IoctlContext = {},
): bigint {
  const mapFile = mapFileRequest();
  mapFile.flags = flags;
  mapFile.ioas_id = ioas;
  mapFile.fd = file;
  mapFile.start = wide(start);
  mapFile.length = wide(size);
  mapFile.iova = wide(iova);
  ioctl(iommufd, iommufdRequest.IOAS_MAP_FILE, bytesOf(mapFile), {
    ...context,
    request: () =>
      `IOMMU_IOAS_MAP_FILE ${ioas} ${flagNames(iommuIoasMapFlag, flags)} iova ${hex(iova)} size ${hex(size)} file ${file} start ${hex(start)}`,
  });
  return mapFile.iova;
}

/** Whether the kernel knows MAP_FILE, without mapping anything: a struct that is too short is EINVAL to a request it knows. */
export function knowsMapFile(iommufd: number): boolean {
  const short = new Uint8Array(new ArrayBuffer(IommuIoasMapFile.baseSize));
  short[0] = 4;
  return ioctlOrErrno(iommufd, iommufdRequest.IOAS_MAP_FILE, short) !== -noTty;
}

/** IOMMU_IOAS_UNMAP. @param size in bytes; `iova` 0 with 2^64 - 1 is everything @returns bytes that were unmapped */
export function unmapIoas(
  iommufd: number,
  ioas: number,
  iova: number | bigint,
  size: number | bigint,
  context: IoctlContext = {},
): bigint {
  const unmap = unmapRequest();
  unmap.ioas_id = ioas;
  unmap.iova = wide(iova);
  unmap.length = wide(size);
  ioctl(iommufd, iommufdRequest.IOAS_UNMAP, bytesOf(unmap), {
    ...context,
    request: () => `IOMMU_IOAS_UNMAP ${ioas} iova ${hex(iova)} size ${hex(size)}`,
  });
  return unmap.length;
}
