// What a device may reach by DMA: one table of mappings over whatever IOMMU is below. Everything that the kernel would
// refuse with a bare errno is checked before it is asked, so that the error says which limit, with the numbers.
import { VfioError } from "../ffi/errors.ts";
import { refuseDma, type DmaProblem } from "./dma-problems.ts";
import type { Iommu, IommuMapping } from "./iommu.ts";
import type { Dma } from "./platform.ts";
import { RangeTable } from "./range-table.ts";
import { contains, isPowerOfTwo, rangeEnd, type Range, subtract, toAddress, toRange } from "./range.ts";

/** What is to be mapped; addresses and sizes in bytes. */
export interface DmaRequest {
  readonly iova: number | bigint;
  readonly size: number | bigint;
  /** Host virtual address of the memory. */
  readonly hva: number | bigint;
  /** The device may read; true unless given. */
  readonly readable?: boolean | undefined;
  /** The device may write; true unless given. */
  readonly writable?: boolean | undefined;
  /** Device memory, which is not locked and counts against no limit of memory. */
  readonly deviceMemory?: boolean | undefined;
  /** Maps the file instead of the memory at `hva`: a memfd that backs it, where the IOMMU can. */
  readonly file?: { readonly fd: number; readonly offset: number } | undefined;
  /** What it is, for messages: `guest RAM`. */
  readonly label?: string | undefined;
}

/** A mapping that is there. */
export interface DmaEntry extends IommuMapping, Range {
  readonly deviceMemory: boolean;
  readonly label: string | undefined;
}

export interface DmaMapOptions {
  /**
   * Bytes that this process may still lock, asked before each mapping of memory; undefined: no limit.
   * Without it nothing is checked, and a refusal of the kernel is reported with what is known.
   */
  readonly lockable?: (() => number | undefined) | undefined;
}

interface Held extends DmaEntry {
  /** How often exactly this was asked for. */
  uses: number;
}

/**
 * The mappings of one address space of an IOMMU. Ranges never overlap; asking again for exactly a mapping that is there is
 * counted, and takes as many `unmap`s. `dispose` unmaps what is there; the IOMMU stays open, and its owner's.
 */
export class DmaMap implements Dma, Disposable {
  readonly iommu: Iommu;
  readonly #table = new RangeTable<Held>();
  readonly #lockable: (() => number | undefined) | undefined;

  constructor(iommu: Iommu, { lockable }: DmaMapOptions = {}) {
    this.iommu = iommu;
    this.#lockable = lockable;
  }

  /** What is mapped now, ascending by IOVA. */
  get mappings(): readonly DmaEntry[] {
    return [...this.#table].map(({ uses: _, ...entry }) => entry);
  }
  /** Bytes of memory that are mapped, without device memory. */
  get lockedBytes(): number {
    let bytes = 0;
    for (const { size, deviceMemory } of this.#table) if (!deviceMemory) bytes += size;
    return bytes;
  }
  /** Mappings that can still be made; undefined where there is no such limit. */
  get freeMappings(): number | undefined {
    const { maxMappings } = this.iommu;
    return maxMappings === undefined ? undefined : Math.max(0, maxMappings - this.#table.length);
  }

  /**
   * What `map` would say against a request, without mapping anything; undefined where nothing speaks against it.
   * @throws TypeError, RangeError if a value is no address, the range is empty or goes to or above 2^53
   */
  check(request: DmaRequest): VfioError | undefined {
    const entry = toEntry(request);
    return this.#same(entry) ? undefined : this.#problem(entry);
  }

  #problem(entry: DmaEntry): VfioError | undefined {
    const problem = this.#find(entry);
    return problem && refuseDma(this.iommu, entry, problem);
  }

  #find(entry: DmaEntry): DmaProblem | undefined {
    const { pageSize, ranges, maxMappings, accountsMemlock, mapsFiles } = this.iommu;
    if (!entry.readable && !entry.writable) return { kind: "no-access" };
    if (entry.file && !mapsFiles) return { kind: "no-files" };
    for (const part of ["iova", "size", "hva"] as const)
      if (entry[part] % pageSize !== 0) return { kind: "unaligned", part, pageSize };
    if (ranges.length > 0 && !ranges.some((range) => contains(range, entry.iova, entry.size)))
      return { kind: "outside", ranges, outside: subtract(entry, ranges) };
    const there = this.#table.overlap(entry);
    if (there) return { kind: "overlap", there };
    if (maxMappings !== undefined && this.#table.length >= maxMappings)
      return { kind: "entries", used: this.#table.length, limit: maxMappings };
    if (!accountsMemlock || entry.deviceMemory) return undefined;
    const lockable = this.#lockable?.();
    if (lockable !== undefined && entry.size > lockable)
      return { kind: "memlock", lockable, locked: this.lockedBytes };
    return undefined;
  }

  #same(entry: DmaEntry): Held | undefined {
    const there = this.#table.overlap(entry);
    const keys = ["iova", "size", "hva", "readable", "writable", "deviceMemory"] as const;
    if (!there || keys.some((key) => there[key] !== entry[key])) return undefined;
    const same = there.file?.fd === entry.file?.fd && there.file?.offset === entry.file?.offset;
    return same ? there : undefined;
  }

  /**
   * Makes memory reachable for the device.
   * @throws TypeError, RangeError as `check`
   * @throws VfioError with the limit that stands against it: EINVAL (alignment, access), ERANGE (IOVA), EEXIST (overlap),
   *   ENOSPC (entries), ENOMEM (locked memory), EOPNOTSUPP (files), or what the kernel says; nothing is mapped then
   */
  map(request: DmaRequest): void {
    const entry = toEntry(request);
    const there = this.#same(entry);
    if (there) {
      there.uses++;
      return;
    }
    const problem = this.#problem(entry);
    if (problem) throw problem;
    try {
      this.iommu.map(entry);
    } catch (cause) {
      throw refuseDma(this.iommu, entry, { kind: "kernel", cause, mappings: this.#table.length });
    }
    this.#table.insert({ ...entry, uses: 1 });
  }

  /** Maps all, or none: what was mapped is taken back if a later one is refused. @throws as `map` */
  mapAll(requests: readonly DmaRequest[]): void {
    const done: DmaRequest[] = [];
    try {
      for (const request of requests) {
        this.map(request);
        done.push(request);
      }
    } catch (error) {
      const failures: unknown[] = [error];
      for (const { iova, size } of done.reverse())
        try {
          this.unmap(iova, size);
        } catch (failure) {
          failures.push(failure);
        }
      throw failures.length === 1
        ? error
        : new AggregateError(failures, "mapping failed, and so did taking it back");
    }
  }

  /**
   * Takes back every mapping that lies in a range; where there is none, nothing happens. A mapping asked for several
   * times stays until the last of them is taken back.
   * @returns bytes that are no longer mapped
   * @throws VfioError (EINVAL) if the range cuts a mapping: no IOMMU of Linux splits one; nothing is unmapped then
   * @throws VfioError of the kernel; what it had not unmapped is still in `mappings`
   */
  unmap(iova: number | bigint, size: number | bigint): number {
    const range = toRange(iova, size, "IOVA range");
    const inside = this.#table.overlaps(range);
    const cut = inside.find((held) => !contains(range, held.base, held.size));
    if (cut) throw refuseDma(this.iommu, { ...cut, ...range }, { kind: "cut", there: cut });
    const gone: Held[] = [];
    try {
      for (const held of inside)
        if (held.uses > 1) held.uses--;
        else {
          this.#release(held);
          gone.push(held);
        }
    } finally {
      this.#table.delete(gone);
    }
    return gone.reduce((bytes, held) => bytes + held.size, 0);
  }

  #release(held: Held): void {
    const bytes = this.iommu.unmap(held.iova, held.size);
    if (bytes !== held.size) throw refuseDma(this.iommu, held, { kind: "short", bytes });
  }

  /** Takes back all mappings, however often each was asked for. @returns bytes unmapped @throws VfioError of the kernel */
  unmapAll(): number {
    if (this.#table.length === 0) return 0;
    const bytes = this.iommu.unmapAll();
    this.#table.delete([...this.#table]);
    return bytes;
  }

  /**
   * The lowest free range of IOVAs.
   * @param size in bytes @param alignment in bytes, a power of two; at least the IOMMU's page
   * @param below exclusive upper limit, for devices that do not drive all address lines
   */
  findIova(size: number, alignment: number = this.iommu.pageSize, below = 2 ** 53 - 1): number | undefined {
    if (!isPowerOfTwo(toAddress(alignment, "alignment")))
      throw new RangeError(`alignment must be a power of two, not ${alignment}`);
    const step = Math.max(alignment, this.iommu.pageSize);
    // Low IOVAs stay free: a driver that takes 0 for "no address" is not to be helped otherwise.
    const window = { base: lowestIova, size: Math.max(0, below - lowestIova) };
    const allowed = this.iommu.ranges.length > 0 ? this.iommu.ranges : [window];
    for (const range of allowed)
      for (const gap of subtract(range, [...this.#table])) {
        const start = Math.max(gap.base, lowestIova);
        const end = Math.min(rangeEnd(gap), below);
        const skip = (step - (start % step)) % step;
        if (end - start >= size && end - start - size >= skip) return start + skip;
      }
    return undefined;
  }

  /** Takes back all mappings. Safe to call twice. @throws VfioError of the kernel */
  [Symbol.dispose](): void {
    this.unmapAll();
  }
}

const lowestIova = 0x10000;

function toEntry(request: DmaRequest): DmaEntry {
  const range = toRange(request.iova, request.size, "IOVA range");
  if (range.size === 0) throw new RangeError("the IOVA range must not be empty");
  const { base: hva } = toRange(request.hva, range.size, "host memory");
  const { readable = true, writable = true, deviceMemory = false, file, label } = request;
  return { ...range, iova: range.base, hva, readable, writable, deviceMemory, file, label };
}
