// Hardware page tables of an iommufd (linux/iommufd.h).
import { checked } from "../regs/ioctl/integer.ts";
import { bytesOf, create, memberRange, wide } from "../regs/ioctl/struct.ts";
import {
  IommuHwptAlloc,
  IommuHwptGetDirtyBitmap,
  IommuHwptInvalidate,
  IommuHwptSetDirtyTracking,
  iommuHwptAllocFlag,
  iommuHwptDirtyTracking,
} from "../regs/ioctl/iommufd-hwpt.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { addressOf, flagNames, ioctl, ioctlError, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

/** Bytes of `struct iommu_hwpt_alloc` that every kernel knows: without the fault queue. */
const allocSize = 40;
const allocFlags = memberRange(IommuHwptAlloc, "flags");
const entrySize = memberRange(IommuHwptInvalidate, "entry_len");

/** What page table is asked for (IOMMU_HWPT_ALLOC). */
export interface HwptRequest {
  /** The device's id in the iommufd. */
  readonly device: number;
  /** An IOAS, a parent HWPT or a vIOMMU. */
  readonly parent: number;
  /** Of `iommuHwptAllocFlag`; FAULT_ID_VALID is added for a fault queue. */
  readonly flags?: number | undefined;
  /** Of `iommuHwptDataType`, with its struct. */
  readonly dataType?: number | undefined;
  /** What the driver of the IOMMU wants, as its struct; none without it. */
  readonly data?: Uint8Array | undefined;
  /** Id of a fault queue. */
  readonly fault?: number | undefined;
}

/** IOMMU_HWPT_ALLOC. @returns the HWPT's id */
export function allocHwpt(iommufd: number, request: HwptRequest, context: IoctlContext = {}): number {
  const { device, parent, fault, flags: asked = 0, dataType = 0, data = new Uint8Array() } = request;
  const flags = checked(asked, allocFlags) | (fault === undefined ? 0 : iommuHwptAllocFlag.FAULT_ID_VALID);
  const memory = still(data);
  const alloc = create(IommuHwptAlloc);
  alloc.size = fault === undefined ? allocSize : IommuHwptAlloc.baseSize;
  alloc.flags = flags >>> 0;
  alloc.dev_id = device;
  alloc.pt_id = parent;
  alloc.data_type = dataType;
  alloc.data_len = memory.byteLength;
  alloc.data_uptr = addressOf(memory);
  if (fault !== undefined) alloc.fault_id = fault;
  ioctl(iommufd, iommufdRequest.HWPT_ALLOC, bytesOf(alloc), {
    ...context,
    request: () =>
      `IOMMU_HWPT_ALLOC device ${device} parent ${parent}${flags === 0 ? "" : ` ${flagNames(iommuHwptAllocFlag, flags)}`}`,
  });
  return alloc.out_hwpt_id;
}

/** IOMMU_HWPT_INVALIDATE. @param entries structs of one size, one after the other @returns how many were done */
export function invalidateHwpt(
  iommufd: number,
  target: { readonly id: number; readonly dataType: number; readonly entrySize: number },
  entries: Uint8Array,
  context: IoctlContext = {},
): number {
  const memory = still(entries);
  const count = entries.byteLength / checked(target.entrySize, entrySize);
  if (!Number.isInteger(count))
    throw new RangeError(`${entries.byteLength} bytes are not whole entries of ${target.entrySize}`);
  const invalidate = create(IommuHwptInvalidate);
  invalidate.size = IommuHwptInvalidate.baseSize;
  invalidate.hwpt_id = target.id;
  invalidate.data_type = target.dataType;
  invalidate.entry_len = target.entrySize;
  invalidate.entry_num = count;
  invalidate.data_uptr = addressOf(memory);
  const result = ioctlOrErrno(iommufd, iommufdRequest.HWPT_INVALIDATE, bytesOf(invalidate));
  if (result < 0)
    throw ioctlError(-result, {
      ...context,
      request: `IOMMU_HWPT_INVALIDATE ${target.id}, ${invalidate.entry_num} of ${count} done`,
    });
  return invalidate.entry_num;
}

/** IOMMU_HWPT_SET_DIRTY_TRACKING. */
export function setHwptDirtyTracking(
  iommufd: number,
  hwpt: number,
  on: boolean,
  context: IoctlContext = {},
): void {
  const set = create(IommuHwptSetDirtyTracking);
  set.size = IommuHwptSetDirtyTracking.baseSize;
  set.flags = on ? iommuHwptDirtyTracking.ENABLE : 0;
  set.hwpt_id = hwpt;
  ioctl(iommufd, iommufdRequest.HWPT_SET_DIRTY_TRACKING, bytesOf(set), {
    ...context,
    request: `IOMMU_HWPT_SET_DIRTY_TRACKING ${hwpt} ${on ? "ENABLE" : "0"}`,
  });
}

/**
 * IOMMU_HWPT_GET_DIRTY_BITMAP: bits are only ever set.
 * @param range IOVA, in bytes @param pageSize bytes a bit @param bitmap made as an `ArrayBuffer`
 * @param flags of `iommuHwptGetDirtyBitmapFlag`
 */
export function getHwptDirtyBitmap(
  iommufd: number,
  hwpt: number,
  range: { readonly iova: number | bigint; readonly size: number | bigint },
  pageSize: number,
  bitmap: Uint8Array,
  flags = 0,
  context: IoctlContext = {},
): void {
  const get = create(IommuHwptGetDirtyBitmap);
  get.size = IommuHwptGetDirtyBitmap.baseSize;
  get.hwpt_id = hwpt;
  get.flags = flags;
  get.iova = wide(range.iova);
  get.length = wide(range.size);
  get.page_size = wide(pageSize);
  get.data = addressOf(bitmap);
  ioctl(iommufd, iommufdRequest.HWPT_GET_DIRTY_BITMAP, bytesOf(get), {
    ...context,
    request: () => `IOMMU_HWPT_GET_DIRTY_BITMAP ${hwpt} iova ${hex(range.iova)} size ${hex(range.size)}`,
  });
}

/** A copy of bytes that does not move while the kernel looks at it. */
export function still(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new ArrayBuffer(bytes.byteLength));
  copy.set(bytes);
  return copy;
}
