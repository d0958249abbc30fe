// I/O address spaces of an iommufd (linux/iommufd.h).
import { bytesOf, create, view, wide } from "../regs/ioctl/struct.ts";
import {
  IommuDestroy,
  IommuIoasAllowIovas,
  IommuIoasAlloc,
  IommuIoasChangeProcess,
  IommuIoasCopy,
  IommuIoasIovaRanges,
  IommuIoasNoiommuGetPa,
  IommuIovaRange,
} from "../regs/ioctl/iommufd-ioas.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { addressOf, exact, ioctl, ioctlError, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { malformed } from "./vfio-info.ts";
import type { IovaSpan } from "./vfio-type1.ts";
import { hex } from "../regs/hex-text.ts";

const messageSize = 90;
/** The most IOVA ranges that an address space may report. */
const maxRanges = 4096;
/** IOMMU_DESTROY: any object by its id. @throws VfioError EBUSY while something uses it */
export function destroyObject(iommufd: number, id: number, context: IoctlContext = {}): void {
  const destroy = create(IommuDestroy);
  destroy.size = IommuDestroy.baseSize;
  destroy.id = id;
  ioctl(iommufd, iommufdRequest.DESTROY, bytesOf(destroy), { ...context, request: `IOMMU_DESTROY ${id}` });
}

/** IOMMU_IOAS_ALLOC. @returns the id of a new address space, which lives until it is destroyed or the iommufd closed */
export function allocIoas(iommufd: number, context: IoctlContext = {}): number {
  const alloc = create(IommuIoasAlloc);
  alloc.size = IommuIoasAlloc.baseSize;
  ioctl(iommufd, iommufdRequest.IOAS_ALLOC, bytesOf(alloc), { ...context, request: "IOMMU_IOAS_ALLOC" });
  return alloc.out_ioas_id;
}

/** IOMMU_IOAS_IOVA_RANGES. @returns what may be mapped now, and to how many bytes mappings are aligned */
export function getIovaRanges(
  iommufd: number,
  ioas: number,
  context: IoctlContext = {},
): { readonly ranges: readonly IovaSpan[]; readonly alignment: number } {
  const what = { ...context, request: `IOMMU_IOAS_IOVA_RANGES ${ioas}` };
  let room = 32;
  for (let tries = 0; tries < 4 && room <= maxRanges; tries++) {
    const memory = new Uint8Array(new ArrayBuffer(room * IommuIovaRange.baseSize));
    const ask = create(IommuIoasIovaRanges);
    ask.size = IommuIoasIovaRanges.baseSize;
    ask.ioas_id = ioas;
    ask.num_iovas = room;
    ask.allowed_iovas = addressOf(memory);
    const result = ioctlOrErrno(iommufd, iommufdRequest.IOAS_IOVA_RANGES, bytesOf(ask));
    if (result === -messageSize && ask.num_iovas > room) {
      room = ask.num_iovas;
      continue;
    }
    if (result < 0) throw ioctlError(-result, what);
    if (ask.num_iovas > room) throw malformed(what, `has ${ask.num_iovas} ranges in room for ${room}`);
    return {
      ranges: Array.from({ length: ask.num_iovas }, (_, index) => {
        const { start, last } = view(IommuIovaRange, memory, index * IommuIovaRange.baseSize);
        return { first: start, last };
      }),
      alignment: exact(ask.out_iova_alignment, "the alignment of an IOAS"),
    };
  }
  throw malformed(what, `asks for room for ${room} ranges`);
}

/** IOMMU_IOAS_ALLOW_IOVAS: IOVAs that must stay usable, so that no device joins that reserves them. */
export function allowIovas(
  iommufd: number,
  ioas: number,
  ranges: readonly IovaSpan[],
  context: IoctlContext = {},
): void {
  const memory = new Uint8Array(new ArrayBuffer(ranges.length * IommuIovaRange.baseSize));
  ranges.forEach(({ first, last }, index) => {
    const range = view(IommuIovaRange, memory, index * IommuIovaRange.baseSize);
    range.start = first;
    range.last = last;
  });
  const allow = create(IommuIoasAllowIovas);
  allow.size = IommuIoasAllowIovas.baseSize;
  allow.ioas_id = ioas;
  allow.num_iovas = ranges.length;
  allow.allowed_iovas = addressOf(memory);
  ioctl(iommufd, iommufdRequest.IOAS_ALLOW_IOVAS, bytesOf(allow), {
    ...context,
    request: () =>
      `IOMMU_IOAS_ALLOW_IOVAS ${ioas} ${ranges.map(({ first, last }) => `${hex(first)}-${hex(last)}`).join(" ")}`,
  });
}

/** What IOAS_COPY takes: a mapping made before, of another address space too. */
export interface IoasCopy {
  /** ID of the address space that has it. */
  readonly from: number;
  /** The first address there. */
  readonly fromIova: number | bigint;
  /** ID of the address space that gets it. */
  readonly to: number;
  /** With FIXED_IOVA; else the kernel chooses. */
  readonly toIova: number | bigint;
  /** In bytes. */
  readonly length: number | bigint;
  /** Of `iommuIoasMapFlag`. */
  readonly flags: number;
}

/** IOMMU_IOAS_COPY. @returns the IOVA of the copy */
export function copyIoas(iommufd: number, what: IoasCopy, context: IoctlContext = {}): bigint {
  const copy = create(IommuIoasCopy);
  copy.size = IommuIoasCopy.baseSize;
  copy.flags = what.flags;
  copy.dst_ioas_id = what.to;
  copy.src_ioas_id = what.from;
  copy.length = wide(what.length);
  copy.dst_iova = wide(what.toIova);
  copy.src_iova = wide(what.fromIova);
  ioctl(iommufd, iommufdRequest.IOAS_COPY, bytesOf(copy), {
    ...context,
    request: () =>
      `IOMMU_IOAS_COPY from ${what.from} iova ${hex(what.fromIova)} to ${what.to} iova ${hex(what.toIova)} size ${hex(what.length)}`,
  });
  return copy.dst_iova;
}

/** IOMMU_IOAS_CHANGE_PROCESS: pinned memory of MAP_FILE is charged to this process from now on. Linux 6.14. */
export function changeIoasProcess(iommufd: number, context: IoctlContext = {}): void {
  const change = create(IommuIoasChangeProcess);
  change.size = IommuIoasChangeProcess.baseSize;
  ioctl(iommufd, iommufdRequest.IOAS_CHANGE_PROCESS, bytesOf(change), {
    ...context,
    request: "IOMMU_IOAS_CHANGE_PROCESS",
  });
}

/** IOMMU_IOAS_NOIOMMU_GET_PA: where pinned memory is, for devices without IOMMU. Linux 7.3. @returns host physical address, and contiguous bytes from it */
export function getPhysicalAddress(
  iommufd: number,
  ioas: number,
  iova: number | bigint,
  length: number | bigint,
  context: IoctlContext = {},
): { readonly address: bigint; readonly length: bigint } {
  const get = create(IommuIoasNoiommuGetPa);
  get.size = IommuIoasNoiommuGetPa.baseSize;
  get.ioas_id = ioas;
  get.iova = wide(iova);
  get.length = wide(length);
  ioctl(iommufd, iommufdRequest.IOAS_NOIOMMU_GET_PA, bytesOf(get), {
    ...context,
    request: () => `IOMMU_IOAS_NOIOMMU_GET_PA ${ioas} iova ${hex(iova)} size ${hex(length)}`,
  });
  return { address: get.out_phys, length: get.length };
}
