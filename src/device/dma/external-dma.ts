// Mappings that somebody else asks for: a virtual IOMMU on behalf of the guest, or memory that comes and goes at run time.
import { VfioError } from "../../ffi/errors.ts";
import type { Dma, DmaMapping } from "../seam/platform.ts";
import { RangeTable } from "../address/range-table.ts";
import { contains, cutRange, formatRange, toRange, type Range } from "../address/range.ts";

/** Where guest RAM is in this process: a `GuestRam`, or the VMM's own. */
export interface GuestAddresses {
  /**
   * Host virtual address of guest physical memory; undefined unless the whole range lies in one piece of RAM. Neighbours in
   * guest memory need not be neighbours in this process: a range across two of them has no address.
   */
  hostAddress(gpa: number, size: number): number | undefined;
}

/** Device memory that a guest address may stand for, as `VfioPciDevice.hostAddress` finds it. */
export interface MappedDevice {
  /**
   * Where device memory that the guest sees at `gpa` is mapped here, and whether it may be written; undefined
   * unless one mapping holds all `size` bytes.
   */
  hostAddress(gpa: number, size: number): { readonly hva: number; readonly writable: boolean } | undefined;
}

/** What a guest asks its IOMMU for. Addresses and sizes are integers from 0 to 2^53 - 1. */
export interface ExternalMapping {
  /** The first address for the device, on pages of the IOMMU. */
  readonly iova: number | bigint;
  /** The guest address that it stands for. */
  readonly gpa: number | bigint;
  /** In bytes, at least 1. */
  readonly size: number | bigint;
  /** Whether the device may read it. */
  readonly readable: boolean;
  /** Whether the device may write to it. */
  readonly writable: boolean;
}

/** Limits of an `ExternalDma`. */
export interface ExternalDmaOptions {
  /**
   * Most mappings at one time: a guest may ask for any number, and each takes memory of the host. 65535 without it, what the
   * kernel allows a container (`dma_entry_limit` of vfio_iommu_type1).
   */
  readonly maxMappings?: number | undefined;
}

interface Held extends DmaMapping, Range {
  /** The device whose memory it is; undefined for RAM. */
  readonly device: MappedDevice | undefined;
}

/**
 * Maps guest physical ranges for a device's DMA at addresses that the guest chooses. Every range is resolved as a whole
 * inside of one piece of RAM or one mapped area of a BAR, and keeps the access that was asked for.
 */
export class ExternalDma {
  readonly #dma: Dma;
  readonly #memory: GuestAddresses;
  readonly #devices: Iterable<MappedDevice>;
  readonly #maxMappings: number;
  /** By IOVA. */
  readonly #held = new RangeTable<Held>();

  /**
   * @param devices whose BARs the guest may name; looked through at each request, so none of them may be closed
   * @throws TypeError, RangeError for options that cannot be
   */
  constructor(
    dma: Dma,
    memory: GuestAddresses,
    devices: Iterable<MappedDevice> = [],
    { maxMappings = 65535 }: ExternalDmaOptions = {},
  ) {
    if (typeof maxMappings !== "number")
      throw new TypeError(`maxMappings must be a number, not ${typeof maxMappings}`);
    if (!Number.isSafeInteger(maxMappings) || maxMappings < 1)
      throw new RangeError(`maxMappings must be an integer of at least 1, not ${maxMappings}`);
    this.#dma = dma;
    this.#memory = memory;
    this.#devices = devices;
    this.#maxMappings = maxMappings;
  }

  /** Ascending by IOVA. */
  get mappings(): readonly DmaMapping[] {
    return [...this.#held].map(({ device: _, base: __, ...mapping }) => mapping);
  }

  /**
   * Maps a range; where it throws, nothing has changed.
   * @throws TypeError, RangeError for a range that cannot be
   * @throws VfioError `ERANGE` for a range of bigints that ends at 2^53 or above, as a guest's request of 64 bits may have it; `EEXIST` where it overlaps a mapping, `ENOSPC` where there are too many, `EFAULT` where it is no single
   * piece of memory, `EACCES` where that is not writable as asked, `EINVAL` where no access is asked for; and what the IOMMU
   * throws
   */
  map({ iova, gpa, size, readable, writable }: ExternalMapping): void {
    const range = reachable(iova, size, "IOVA range");
    const source = reachable(gpa, size, "guest memory range");
    if (range.size === 0) throw new RangeError("size of the IOVA range must be at least 1");
    const asked = `IOVA ${formatRange(range)}`;
    if (!readable && !writable) throw refuse("EINVAL", `${asked} is to be neither readable nor writable`);
    const there = this.#held.overlap(range);
    if (there) throw refuse("EEXIST", `${asked} overlaps the mapping ${formatRange(there)}`);
    if (this.#held.length >= this.#maxMappings)
      throw refuse(
        "ENOSPC",
        `${asked} would be more than ${this.#maxMappings} mappings`,
        "Let the guest map larger pieces, or raise maxMappings and dma_entry_limit of vfio_iommu_type1.",
      );
    const memory = `guest memory ${formatRange(source)}`;
    const found = this.#resolve(source);
    if (!found) throw refuse("EFAULT", `${memory} is not one piece of RAM or of a mapped BAR`);
    if (writable && !found.writable) throw refuse("EACCES", `${memory} cannot be written`);
    const { hva, device } = found;
    const mapping = { iova: range.base, size: range.size, hva, readable, writable };
    this.#dma.map({ ...mapping, deviceMemory: device !== undefined });
    this.#held.insert({ ...mapping, base: range.base, device });
  }

  #resolve({
    base,
    size,
  }: Range): { hva: number; writable: boolean; device: MappedDevice | undefined } | undefined {
    const hva = this.#memory.hostAddress(base, size);
    if (hva !== undefined) return { hva, writable: true, device: undefined };
    for (const device of this.#devices) {
      const found = device.hostAddress(base, size);
      if (found) return { ...found, device };
    }
    return undefined;
  }

  /**
   * Unmaps every mapping in a range; none is there: nothing happens. What of the range lies above 2^53, where nothing can be
   * mapped, counts for nothing: a guest may ask for all of a space of 57 or 64 bits (virtio 1.3, 5.13.6.6).
   * @returns bytes unmapped
   * @throws TypeError, RangeError for what is no integer of at least 0
   * @throws VfioError if the range cuts a mapping in two, and nothing is unmapped then; or if the IOMMU refuses, and what it
   * refuses is still in `mappings` then, and nothing else of the range
   */
  unmap(iova: number | bigint, size: number | bigint): number {
    const range = cutRange(iova, size, "IOVA range");
    const inside = this.#held.overlaps(range);
    const cut = inside.find((held) => !contains(range, held.base, held.size));
    if (cut) throw refuse("EINVAL", `IOVA ${formatRange(range)} cuts the mapping ${formatRange(cut)} in two`);
    return this.#drop(inside);
  }

  /**
   * Unmaps all memory of a device that is about to be detached.
   * @returns bytes unmapped
   * @throws VfioError as `unmap`; then other devices may still reach what is left in `mappings`
   */
  forget(device: MappedDevice): number {
    return this.#drop([...this.#held].filter((held) => held.device === device));
  }

  /** Unmaps each. What the IOMMU refuses to give back stays held, and does not keep the rest. */
  #drop(dropped: readonly Held[]): number {
    const gone: Held[] = [];
    const stuck: { held: Held; cause: unknown }[] = [];
    for (const held of dropped) {
      try {
        this.#dma.unmap(held.iova, held.size);
        gone.push(held);
      } catch (cause) {
        stuck.push({ held, cause });
      }
    }
    this.#held.delete(gone);
    const [worst] = stuck;
    if (!worst) return gone.reduce((bytes, { size }) => bytes + size, 0);
    throw new VfioError(
      `${stuck.length} of ${dropped.length} mappings cannot be unmapped, the first is ${formatRange(worst.held)}`,
      { code: worst.cause instanceof VfioError ? worst.cause.code : "EIO", cause: worst.cause },
    );
  }
}

/** What a guest asks for with all 64 bits is refused with a code, as other requests of its are. */
function reachable(address: number | bigint, size: number | bigint, what: string): Range {
  const parts = [address, size];
  const isWhole = parts.every((part) => typeof part === "bigint" || Number.isInteger(part));
  if (isWhole && parts.some((part) => typeof part === "bigint")) {
    const end = BigInt(address) + BigInt(size);
    if (end > BigInt(Number.MAX_SAFE_INTEGER))
      throw refuse("ERANGE", `the ${what} ends at 0x${end.toString(16)}, above what can be mapped`);
  }
  return toRange(address, size, what);
}

const refuse = (code: string, message: string, hint?: string): VfioError =>
  new VfioError(message, { code, hint });
