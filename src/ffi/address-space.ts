// Places for mappings: a huge page needs an address that is aligned like the memory behind it, which mmap(2) alone does
// not look for.
import { mapFlag, protection } from "./constants.ts";
import { systemCalls } from "./system-calls.ts";
import { systemError } from "./system-error.ts";
import { Unreleased } from "./unreleased.ts";

/** As mmap(2) takes them. */
export interface MapRequest {
  readonly size: number;
  readonly protection: number;
  readonly flags: number;
  /** -1 for none. */
  readonly fd: number;
  readonly offset: number;
}

const exists = 17;
/** Another thread may take a place between its being found and its being used; hardly ever twice. */
const attempts = 16;

/**
 * mmap(2) at an address that is congruent to the offset in the file, modulo `alignment`.
 * @param alignment a power of two, of a page or more
 * @returns the address, or minus the errno
 */
export function mapAligned(request: MapRequest, alignment: number, page: number): number {
  if (alignment <= page) return map(0, request, 0);
  for (let attempt = 1; ; attempt++) {
    const place = findPlace(request, alignment, page);
    if (place < 0) return place;
    // Never MAP_FIXED: where it fails, it has removed what was there, and nobody owns the hole.
    const address = map(place, request, mapFlag.FIXED_NOREPLACE);
    if (address === place) return address;
    if (address >= 0) unmap(address, request.size);
    else if (address !== -exists) return address;
    if (attempt === attempts) return -exists;
  }
}

/** Reserves enough for an aligned place to lie inside, and gives it back. @returns the place, or minus the errno */
function findPlace({ size, offset }: MapRequest, alignment: number, page: number): number {
  const length = size + alignment - page;
  const flags = mapFlag.PRIVATE | mapFlag.ANONYMOUS | mapFlag.NORESERVE;
  const start = map(0, { size: length, protection: protection.NONE, flags, fd: -1, offset: 0 }, 0);
  if (start < 0) return start;
  unmap(start, length);
  const beyond = (((start - offset) % alignment) + alignment) % alignment;
  return beyond === 0 ? start : start + alignment - beyond;
}

interface Place {
  readonly address: number;
  readonly size: number;
}

/** What the kernel has not taken back: tried again with the next. */
const kept = new Unreleased<Place>(({ address, size }) => {
  const result = systemCalls().munmap(address, size);
  if (result < 0) throw systemError("munmap", -result, `${size} bytes`);
});

/**
 * munmap(2). Where the kernel refuses, as it does to a process with too many mappings, whatever was mapped goes all the same,
 * so that it holds no device open; the addresses come back with those of a later call.
 */
export function unmap(address: number, size: number): void {
  const place = { address, size };
  kept.add(place);
  kept.settle();
  if (kept.some((one) => one === place)) cover(address, size, protection.NONE);
}

/** Puts memory of this process, zeros, where something is mapped. */
export function cover(address: number, size: number, access: number): void {
  const flags = mapFlag.PRIVATE | mapFlag.ANONYMOUS | mapFlag.NORESERVE | mapFlag.FIXED;
  systemCalls().mmap(address, size, access, flags, -1, 0);
}

function map(address: number, { size, protection, flags, fd, offset }: MapRequest, more: number): number {
  return Number(systemCalls().mmap(address, size, protection, flags | more, fd, offset));
}
