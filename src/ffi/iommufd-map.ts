// Mapping memory into an address space of an iommufd (linux/iommufd.h), over structs that are made once: a virtual
// IOMMU maps and unmaps often.
import {
  IommuIoasMap,
  IommuIoasMapFile,
  IommuIoasUnmap,
  iommuIoasMapFlag,
} from "../regs/ioctl/iommufd-ioas.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { flagNames, ioctl, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";

const mapBytes = new Uint8Array(new ArrayBuffer(IommuIoasMap.baseSize));
const mapView = new DataView(mapBytes.buffer);
const fileBytes = new Uint8Array(new ArrayBuffer(IommuIoasMapFile.baseSize));
const fileView = new DataView(fileBytes.buffer);
const unmapBytes = new Uint8Array(new ArrayBuffer(IommuIoasUnmap.baseSize));
const unmapView = new DataView(unmapBytes.buffer);
const noTty = 25;

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

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
  mapView.setUint32(0, mapBytes.byteLength, true);
  mapView.setUint32(4, flags, true);
  mapView.setUint32(8, ioas, true);
  mapView.setUint32(12, 0, true);
  mapView.setBigUint64(16, BigInt(address), true);
  mapView.setBigUint64(24, BigInt(size), true);
  mapView.setBigUint64(32, BigInt(iova), true);
  ioctl(iommufd, iommufdRequest.IOAS_MAP, mapBytes, {
    ...context,
    request: () =>
      `IOMMU_IOAS_MAP ${ioas} ${flagNames(iommuIoasMapFlag, flags)} iova ${hex(iova)} size ${hex(size)} address ${hex(address)}`,
  });
  return mapView.getBigUint64(32, true);
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
  fileView.setUint32(0, fileBytes.byteLength, true);
  fileView.setUint32(4, flags, true);
  fileView.setUint32(8, ioas, true);
  fileView.setInt32(12, file, true);
  fileView.setBigUint64(16, BigInt(start), true);
  fileView.setBigUint64(24, BigInt(size), true);
  fileView.setBigUint64(32, BigInt(iova), true);
  ioctl(iommufd, iommufdRequest.IOAS_MAP_FILE, fileBytes, {
    ...context,
    request: () =>
      `IOMMU_IOAS_MAP_FILE ${ioas} ${flagNames(iommuIoasMapFlag, flags)} iova ${hex(iova)} size ${hex(size)} file ${file} start ${hex(start)}`,
  });
  return fileView.getBigUint64(32, true);
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
  unmapView.setUint32(0, unmapBytes.byteLength, true);
  unmapView.setUint32(4, ioas, true);
  unmapView.setBigUint64(8, BigInt(iova), true);
  unmapView.setBigUint64(16, BigInt(size), true);
  ioctl(iommufd, iommufdRequest.IOAS_UNMAP, unmapBytes, {
    ...context,
    request: () => `IOMMU_IOAS_UNMAP ${ioas} iova ${hex(iova)} size ${hex(size)}`,
  });
  return unmapView.getBigUint64(16, true);
}
