// What a device may reach by DMA: one table of mappings over whatever IOMMU is below. Everything that the kernel would
// refuse with a bare errno is checked before it is asked, so that the error says which limit, with the numbers.
import type { VfioError } from "../../ffi/errors.ts";
import { DmaBuffer, type DmaBufferOptions } from "./dma-buffer.ts";
import { refuseDma, type DmaProblem } from "./dma-errors.ts";
import { toEntry, type DmaEntry, type DmaRequest } from "./dma-request.ts";
import type { Iommu } from "../seam/iommu.ts";
import type { Dma } from "../seam/platform.ts";
import { RangeTable } from "../address/range-table.ts";
import { contains, isPowerOfTwo, rangeEnd, subtract, toAddress, toRange } from "../address/range.ts";

/** What a `DmaMap` asks besides the IOMMU. */
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
  /** What it maps in. */
  readonly iommu: Iommu;
  readonly #table = new RangeTable<Held>();
  readonly #lockable: (() => number | undefined) | undefined;

  /**
   * Containers and IOASes have theirs: `dma`.
   * @param iommu one of your own @param options what is asked besides it
   */
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
    const entry = this.#entry(request);
    return this.#same(entry) ? undefined : this.#problem(entry);
  }

  /** A file goes no further than an IOMMU that maps none. */
  #entry(request: DmaRequest): DmaEntry {
    return toEntry(this.iommu.mapsFiles ? request : { ...request, file: undefined });
  }

  #problem(entry: DmaEntry): VfioError | undefined {
    const problem = this.#find(entry);
    return problem && refuseDma(this.iommu, entry, problem);
  }

  #find(entry: DmaEntry): DmaProblem | undefined {
    const { pageSize, ranges, maxMappings, accountsMemlock, mapsDeviceMemory } = this.iommu;
    if (!entry.readable && !entry.writable) return { kind: "no-access" };
    if (entry.deviceMemory && !mapsDeviceMemory && !entry.file) return { kind: "device-memory" };
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
   * @returns what takes this back, once, as `unmap` would; where it is gone already, and whatever took its place, it does nothing
   * @throws TypeError, RangeError as `check`
   * @throws VfioError with the limit that stands against it: EINVAL (alignment, access), ERANGE (IOVA), EEXIST (overlap),
   *   ENOSPC (entries), ENOMEM (locked memory), EOPNOTSUPP (device memory), or what the kernel says; nothing is mapped then
   */
  map(request: DmaRequest): Disposable {
    const entry = this.#entry(request);
    const there = this.#same(entry);
    if (there) {
      there.uses++;
      return this.#part(there);
    }
    const problem = this.#problem(entry);
    if (problem) throw problem;
    try {
      this.iommu.map(entry);
    } catch (cause) {
      throw refuseDma(this.iommu, entry, { kind: "kernel", cause, mappings: this.#table.length });
    }
    const held = { ...entry, uses: 1 };
    this.#table.insert(held);
    return this.#part(held);
  }

  /** One asker's part in a mapping. */
  #part(held: Held): Disposable {
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        if (this.#table.overlap(held) === held) this.#drop([held]);
        over = true;
      },
    };
  }

  /**
   * Maps all, or none: what was mapped is taken back if a later one is refused.
   * @returns what takes all of them back, the last one first
   * @throws as `map`
   */
  mapAll(requests: readonly DmaRequest[]): Disposable {
    const parts: Disposable[] = [];
    try {
      for (const request of requests) parts.push(this.map(request));
    } catch (error) {
      try {
        together(parts)[Symbol.dispose]();
      } catch (failure) {
        throw new AggregateError([error, failure], "mapping failed, and so did taking it back");
      }
      throw error;
    }
    return together(parts);
  }

  /**
   * Memory of a driver's own that the device reaches: zeros, of whole pages that hold nothing else, at a free IOVA.
   * @param size in bytes, from 1 to 2 GiB
   * @returns owned by who called: `dispose` takes it back from the device, then from this process
   * @throws TypeError, RangeError for a size or options that cannot be
   * @throws VfioError ENOSPC where no IOVAs are free, and as `map`; nothing is left then
   */
  allocate(size: number, options: DmaBufferOptions = {}): DmaBuffer {
    return new DmaBuffer(this, size, options);
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
    return this.#drop(inside);
  }

  #drop(inside: readonly Held[]): number {
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

  /** Takes back all mappings made here, however often each was asked for. @returns bytes unmapped @throws VfioError of the kernel */
  unmapAll(): number {
    if (this.#table.length === 0) return 0;
    if (!this.iommu.exclusive) {
      for (const held of this.#table) held.uses = 1;
      return this.#drop([...this.#table]);
    }
    const bytes = this.iommu.unmapAll();
    this.#table.delete([...this.#table]);
    return bytes;
  }

  /** The IOMMU is gone, and all that it mapped with it: nothing is left to be taken back. @internal */
  forget(): void {
    this.#table.delete([...this.#table]);
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

/** Takes all of them back, the last one first; what fails keeps none of the others, and is tried again when called again. */
const together = (parts: readonly Disposable[]): Disposable => ({
  [Symbol.dispose]: () => {
    using order = new DisposableStack();
    for (const part of parts) order.use(part);
  },
});
