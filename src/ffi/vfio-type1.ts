// DMA mapping through a container of type 1 (linux/vfio.h); an iommufd in a container's place answers the same.
import { lazy } from "../regs/lazy.ts";
import { bytesOf, create, view, wide } from "../regs/ioctl/struct.ts";
import {
  VfioBitmap,
  VfioIommuType1DirtyBitmap,
  VfioIommuType1DirtyBitmapGet,
  VfioIommuType1DmaMap,
  VfioIommuType1DmaUnmap,
  VfioIommuType1Info,
  VfioIommuType1InfoCapIovaRange,
  VfioIommuType1InfoCapMigration,
  VfioIommuType1InfoDmaAvail,
  VfioIovaRange,
  vfioDirtyPagesFlag,
  vfioDmaMapFlag,
  vfioDmaUnmapFlag,
  vfioIommuCapability,
  vfioIommuInfoFlag,
} from "../regs/ioctl/vfio-iommu.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { addressOf, exact, flagNames, ioctl, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { askInfo, capabilityView, infoCapabilities, malformed, type InfoCapability } from "./vfio-info.ts";
import { hex } from "../regs/hex-text.ts";

/** The most IOVA ranges that a container may report. */
const maxRanges = 4096;

/** IOVAs, both ends included; a bigint, since the last one may be all ones. */
export interface IovaSpan {
  /** The first address. */
  readonly first: bigint;
  /** The last address. */
  readonly last: bigint;
}

/** What the kernel says of a type1 container (VFIO_IOMMU_GET_INFO). */
export interface Type1Info {
  /** Bit n: pages of 2^n bytes. */
  readonly pageSizes: bigint;
  /** Undefined where the kernel does not say (before 5.4). */
  readonly ranges: readonly IovaSpan[] | undefined;
  /** Further mappings that there is room for; undefined where the kernel does not say (before 5.10). */
  readonly available: number | undefined;
  /** Dirty page logging; undefined where there is none. */
  readonly dirtyLog: { readonly pageSizes: bigint; readonly maxBitmap: number } | undefined;
  /** All of them, those above too. */
  readonly capabilities: readonly InfoCapability[];
}

/** VFIO_IOMMU_GET_INFO. @throws VfioError EINVAL before SET_IOMMU */
export function getIommuInfo(container: number, context: IoctlContext = {}): Type1Info {
  const what = { ...context, request: "VFIO_IOMMU_GET_INFO" };
  const info = askInfo(container, vfioRequest.IOMMU_GET_INFO, VfioIommuType1Info, () => {}, what);
  const first = info.flags & vfioIommuInfoFlag.CAPS ? info.cap_offset : 0;
  const capabilities = infoCapabilities(bytesOf(info), first, VfioIommuType1Info.baseSize, what);
  const find = (id: number): Uint8Array | undefined => capabilities.find((one) => one.id === id)?.bytes;
  const ranges = find(vfioIommuCapability.CAP_IOVA_RANGE);
  const count = ranges ? capabilityView(VfioIommuType1InfoCapIovaRange, ranges, what).nr_iovas : 0;
  const start = VfioIommuType1InfoCapIovaRange.baseSize;
  if (ranges && (count > maxRanges || start + count * VfioIovaRange.baseSize > ranges.byteLength))
    throw malformed(what, `has ${count} IOVA ranges in ${ranges.byteLength} bytes`);
  const log = find(vfioIommuCapability.CAP_MIGRATION);
  const logInfo = log && capabilityView(VfioIommuType1InfoCapMigration, log, what);
  const available = find(vfioIommuCapability.DMA_AVAIL);
  return {
    // Without PGSIZES the kernel means what every IOMMU has.
    pageSizes: info.flags & vfioIommuInfoFlag.PGSIZES ? info.iova_pgsizes : 4096n,
    ranges:
      ranges &&
      Array.from({ length: count }, (_, index) => {
        const range = view(VfioIovaRange, ranges, start + index * VfioIovaRange.baseSize);
        return { first: range.start, last: range.end };
      }),
    available: available && capabilityView(VfioIommuType1InfoDmaAvail, available, what).avail,
    dirtyLog: logInfo && {
      pageSizes: logInfo.pgsize_bitmap,
      maxBitmap: exact(logInfo.max_dirty_bitmap_size, "the size of a dirty bitmap"),
    },
    capabilities,
  };
}

/** Whether the container has its IOMMU already, as one that another process prepared: GET_INFO answers then. */
export function hasIommu(container: number): boolean {
  const info = create(VfioIommuType1Info);
  info.argsz = VfioIommuType1Info.baseSize;
  return ioctlOrErrno(container, vfioRequest.IOMMU_GET_INFO, bytesOf(info)) >= 0;
}

// A virtual IOMMU maps and unmaps often: these two structs are made once.
const mapRequest = lazy(() => {
  const map = create(VfioIommuType1DmaMap);
  map.argsz = VfioIommuType1DmaMap.baseSize;
  return map;
});
const unmapRequest = lazy(() => {
  const unmap = create(VfioIommuType1DmaUnmap);
  unmap.argsz = VfioIommuType1DmaUnmap.baseSize;
  return unmap;
});

/**
 * VFIO_IOMMU_MAP_DMA.
 * @param flags of `vfioDmaMapFlag`: what the device may do
 * @param address HVA @param iova @param size in bytes, all of whole pages
 */
export function mapDma(
  container: number,
  flags: number,
  address: number | bigint,
  iova: number | bigint,
  size: number | bigint,
  context: IoctlContext = {},
): void {
  const map = mapRequest();
  map.flags = flags;
  map.vaddr = wide(address);
  map.iova = wide(iova);
  map.size = wide(size);
  ioctl(container, vfioRequest.IOMMU_MAP_DMA, bytesOf(map), {
    ...context,
    request: () =>
      `VFIO_IOMMU_MAP_DMA ${flagNames(vfioDmaMapFlag, flags)} iova ${hex(iova)} size ${hex(size)} address ${hex(address)}`,
  });
}

/**
 * VFIO_IOMMU_UNMAP_DMA.
 * @param flags of `vfioDmaUnmapFlag` but GET_DIRTY_BITMAP; 0 for none; ALL wants `iova` and `size` 0
 * @returns bytes that were unmapped
 */
export function unmapDma(
  container: number,
  flags: number,
  iova: number | bigint,
  size: number | bigint,
  context: IoctlContext = {},
): number {
  const unmap = unmapRequest();
  unmap.flags = flags;
  unmap.iova = wide(iova);
  unmap.size = wide(size);
  ioctl(container, vfioRequest.IOMMU_UNMAP_DMA, bytesOf(unmap), {
    ...context,
    request: () =>
      `VFIO_IOMMU_UNMAP_DMA ${flags === 0 ? "" : `${flagNames(vfioDmaUnmapFlag, flags)} `}iova ${hex(iova)} size ${hex(size)}`,
  });
  return exact(unmap.size, "the size that was unmapped");
}

/** One mapping, and where the log of the pages written through it goes. */
export interface DirtyRange {
  /** The first address, on pages. */
  readonly iova: number | bigint;
  /** In bytes. */
  readonly size: number | bigint;
  /** Bytes a bit, one of `dirtyLog.pageSizes`. */
  readonly pageSize: number;
  /** A bit a page, rounded up to 8 bytes; made as an `ArrayBuffer`. */
  readonly bitmap: Uint8Array;
}

function fillBitmap(into: VfioBitmap, { pageSize, bitmap }: DirtyRange): void {
  into.pgsize = wide(pageSize);
  into.size = wide(bitmap.byteLength);
  into.data = addressOf(bitmap);
}

/** VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP: the last look at a mapping's log. @returns bytes that were unmapped */
export function unmapDmaDirty(container: number, range: DirtyRange, context: IoctlContext = {}): number {
  const last = create(VfioIommuType1DmaUnmap, VfioBitmap.baseSize);
  const bytes = bytesOf(last);
  last.argsz = bytes.byteLength;
  last.flags = vfioDmaUnmapFlag.GET_DIRTY_BITMAP;
  last.iova = wide(range.iova);
  last.size = wide(range.size);
  fillBitmap(view(VfioBitmap, bytes, VfioIommuType1DmaUnmap.baseSize), range);
  ioctl(container, vfioRequest.IOMMU_UNMAP_DMA, bytes, {
    ...context,
    request: () => `VFIO_IOMMU_UNMAP_DMA GET_DIRTY_BITMAP iova ${hex(range.iova)} size ${hex(range.size)}`,
  });
  return exact(last.size, "the size that was unmapped");
}

/** VFIO_IOMMU_DIRTY_PAGES with START or STOP: the log of pages that devices write. */
export function setDirtyLog(container: number, on: boolean, context: IoctlContext = {}): void {
  const pages = create(VfioIommuType1DirtyBitmap);
  pages.argsz = VfioIommuType1DirtyBitmap.baseSize;
  pages.flags = on ? vfioDirtyPagesFlag.START : vfioDirtyPagesFlag.STOP;
  ioctl(container, vfioRequest.IOMMU_DIRTY_PAGES, bytesOf(pages), {
    ...context,
    request: `VFIO_IOMMU_DIRTY_PAGES ${on ? "START" : "STOP"}`,
  });
}

/** VFIO_IOMMU_DIRTY_PAGES with GET_BITMAP: fills the range's bitmap, and begins it again. */
export function getDirtyBitmap(container: number, range: DirtyRange, context: IoctlContext = {}): void {
  const pages = create(VfioIommuType1DirtyBitmap, VfioIommuType1DirtyBitmapGet.baseSize);
  const bytes = bytesOf(pages);
  pages.argsz = bytes.byteLength;
  pages.flags = vfioDirtyPagesFlag.GET_BITMAP;
  const get = view(VfioIommuType1DirtyBitmapGet, bytes, VfioIommuType1DirtyBitmap.baseSize);
  get.iova = wide(range.iova);
  get.size = wide(range.size);
  fillBitmap(get.bitmap, range);
  ioctl(container, vfioRequest.IOMMU_DIRTY_PAGES, bytes, {
    ...context,
    request: () => `VFIO_IOMMU_DIRTY_PAGES GET_BITMAP iova ${hex(range.iova)} size ${hex(range.size)}`,
  });
}

/** VFIO_IOMMU_ENABLE: of containers that are not type 1. @throws VfioError ENOTTY for a container of type 1 */
export const enableIommu = (container: number, context: IoctlContext = {}): void =>
  void ioctl(container, vfioRequest.IOMMU_ENABLE, 0, { ...context, request: "VFIO_IOMMU_ENABLE" });

/** VFIO_IOMMU_DISABLE; see `enableIommu`. */
export const disableIommu = (container: number, context: IoctlContext = {}): void =>
  void ioctl(container, vfioRequest.IOMMU_DISABLE, 0, { ...context, request: "VFIO_IOMMU_DISABLE" });
