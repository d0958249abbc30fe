// DEVICE_GET_REGION_INFO with its capabilities, and accesses to regions.
import type { RegionArea, RegionInfo } from "../../../regs/vfio/regions.ts";
import { getU64, setU64, wireStruct } from "../wire.ts";

/** DEVICE_GET_REGION_INFO, and the beginning of its reply. `capOffset` counts from the start of this struct. */
export const regionInfo = wireStruct(32, {
  argsz: "u32",
  flags: "u32",
  index: "u32",
  capOffset: "u32",
  size: "u64",
  offset: "u64",
});
/** VFIO_REGION_INFO_FLAG_* of linux/vfio.h. */
export const regionFlag = { read: 1, write: 2, mmap: 4, caps: 8 } as const;

const capability = wireStruct(8, { id: "u16", version: "u16", next: "u32" });
const sparseMmap = 1;
const sparseHeader = wireStruct(16, {
  id: "u16",
  version: "u16",
  next: "u32",
  areas: "u32",
  reserved: "u32",
});
const areaSize = 16;
/** The most sparse areas of a region; LVU and QEMU know fewer. */
export const maxAreas = 256;

/** What a reply says of a region; `offset` is where the region begins in the file of the descriptor, in bytes. */
export interface RegionReply extends RegionInfo {
  readonly offset: number;
}

/**
 * Writes the reply's body, or its fixed part where the asker has room for no more: then the asker asks again.
 * @param room the asker's `argsz` @returns size of the body, and whether it is the whole of it
 */
export function encodeRegionInfo(
  view: DataView,
  offset: number,
  region: RegionReply,
  room: number,
): { readonly size: number; readonly whole: boolean } {
  const { sparse } = region;
  const tail = sparse && region.mappable ? sparseHeader.size + areaSize * sparse.length : 0;
  const argsz = regionInfo.size + tail;
  const whole = room >= argsz;
  const flags =
    (region.readable ? regionFlag.read : 0) +
    (region.writable ? regionFlag.write : 0) +
    (region.mappable ? regionFlag.mmap : 0) +
    // A peer that sees this flag looks for the capabilities at once.
    (tail > 0 && whole ? regionFlag.caps : 0);
  const capOffset = tail > 0 && whole ? regionInfo.size : 0;
  const { index, size } = region;
  regionInfo.encode(view, offset, { argsz, flags, index, capOffset, size, offset: region.offset });
  if (tail === 0 || !whole) return { size: regionInfo.size, whole };
  let at = offset + regionInfo.size;
  const areas = sparse!.length;
  sparseHeader.encode(view, at, { id: sparseMmap, version: 1, next: 0, areas, reserved: 0 });
  at += sparseHeader.size;
  for (const area of sparse!) {
    setU64(view, at, area.offset);
    setU64(view, at + 8, area.size);
    at += areaSize;
  }
  return { size: argsz, whole };
}

/**
 * What a reply's body of `size` bytes says, at least the fixed part. Capabilities that cannot be are left out.
 * @returns undefined for a body that is malformed: a chain that turns back or leaves it, areas that do not fit
 */
export function decodeRegionInfo(view: DataView, offset: number, size: number): RegionReply | undefined {
  if (size < regionInfo.size) return undefined;
  const info = regionInfo.decode(view, offset);
  const has = (bit: number): boolean => (info.flags & bit) !== 0;
  const sparse = has(regionFlag.caps) ? sparseAreas(view, offset, size, info.capOffset) : [];
  if (!sparse || !Number.isSafeInteger(info.size) || !Number.isSafeInteger(info.offset)) return undefined;
  return {
    index: info.index,
    size: info.size,
    offset: info.offset,
    readable: has(regionFlag.read),
    writable: has(regionFlag.write),
    mappable: has(regionFlag.mmap),
    sparse: sparse.length > 0 ? sparse : undefined,
    msixMappable: false,
  };
}

function sparseAreas(view: DataView, offset: number, size: number, first: number): RegionArea[] | undefined {
  let least = regionInfo.size;
  // A chain that only goes forward ends.
  for (let at = first; at !== 0;) {
    if (at < least || at + capability.size > size) return undefined;
    const { id, next } = capability.decode(view, offset + at);
    if (id === sparseMmap) return readAreas(view, offset + at, size - at);
    least = at + capability.size;
    at = next;
  }
  return [];
}

function readAreas(view: DataView, offset: number, size: number): RegionArea[] | undefined {
  if (size < sparseHeader.size) return undefined;
  const { areas } = sparseHeader.decode(view, offset);
  if (areas > maxAreas || sparseHeader.size + areas * areaSize > size) return undefined;
  const found = Array.from({ length: areas }, (_, i) => {
    const at = offset + sparseHeader.size + i * areaSize;
    return { offset: getU64(view, at), size: getU64(view, at + 8) };
  });
  return found.filter((area) => area.size > 0);
}

/** REGION_READ and REGION_WRITE, and their replies; data follows a write and the reply to a read. */
export const regionAccess = wireStruct(16, { offset: "u64", region: "u32", count: "u32" });
const access = regionAccess.at;
/** Their fixed part: what `encode` writes, without an object, since guests cause it all the time. @param at in bytes */
export function putRegionAccess(
  view: DataView,
  at: number,
  offset: number,
  region: number,
  count: number,
): void {
  setU64(view, at + access.offset, offset);
  view.setUint32(at + access.region, region, true);
  view.setUint32(at + access.count, count, true);
}

/** REGION_WRITE_MULTI: how many records follow; its reply is the same number. */
export const writeMulti = wireStruct(8, { writes: "u64" });
/** One record; its data are 8 bytes, of which `count` are written. */
export const writeRecord = wireStruct(16, { offset: "u64", region: "u32", count: "u32" });
export const writeRecordSize = 24;

/** DEVICE_GET_REGION_IO_FDS, and the beginning of its reply; records of 40 bytes follow there. */
export const regionIoFds = wireStruct(16, { argsz: "u32", flags: "u32", index: "u32", count: "u32" });
