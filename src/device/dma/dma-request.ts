import type { IommuMapping } from "../seam/iommu.ts";
import { toRange, type Range } from "../address/range.ts";

/** What is to be mapped; addresses and sizes in bytes. */
export interface DmaRequest {
  /** The first address for the device, on pages of the IOMMU. */
  readonly iova: number | bigint;
  /** In bytes, whole pages of the IOMMU. */
  readonly size: number | bigint;
  /** Host virtual address of the memory. */
  readonly hva: number | bigint;
  /** The device may read; true unless given. */
  readonly readable?: boolean | undefined;
  /** The device may write; true unless given. */
  readonly writable?: boolean | undefined;
  /** A device's memory, which is not locked and counts against no limit of memory. */
  readonly deviceMemory?: boolean | undefined;
  /** A file of the same memory, open as long as the mapping: an IOMMU that maps files takes it in place of `hva`. */
  readonly file?: { readonly fd: number; readonly offset: number } | undefined;
  /** What it is, for messages: `guest RAM`. */
  readonly label?: string | undefined;
}

/** A mapping that is there. */
export interface DmaEntry extends IommuMapping, Range {
  readonly deviceMemory: boolean;
  /** What it is for, in messages. */
  readonly label: string | undefined;
}

/** @throws TypeError, RangeError if a value is no address, the range is empty or goes to or above 2^53 */
export function toEntry(request: DmaRequest): DmaEntry {
  const range = toRange(request.iova, request.size, "IOVA range");
  if (range.size === 0) throw new RangeError("the IOVA range must not be empty");
  const { base: hva } = toRange(request.hva, range.size, "host memory");
  const { readable = true, writable = true, deviceMemory = false, file, label } = request;
  return { ...range, iova: range.base, hva, readable, writable, deviceMemory, file, label };
}
