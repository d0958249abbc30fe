import type { DmaMap } from "../device/dma/dma-map.ts";
import type { GuestAddresses } from "../device/dma/external-dma.ts";
import { GuestRam } from "../device/dma/guest-ram.ts";
import { contains, formatRange } from "../device/address/range.ts";
import { memoryAdvice } from "../ffi/constants.ts";
import { VfioError } from "../ffi/errors.ts";
import { Mapping, maxViewSize } from "../ffi/mapping.ts";
import { MemoryFile } from "../ffi/memory-file.ts";
import { Unreleased } from "../ffi/unreleased.ts";
import type { KvmMemorySlots } from "./memory-slots.ts";

/** Where a part of a guest's memory is. Both in bytes, multiples of a page. */
export interface MemoryPlace {
  /** Its first guest address, on pages. */
  readonly gpa: number;
  /** In bytes, whole pages. */
  readonly size: number;
}

/** What RAM a guest gets. */
export interface GuestMemoryOptions {
  /** Where the guest finds it; places do not overlap. */
  readonly places: readonly MemoryPlace[];
  /**
   * Pages of hugetlbfs, which the administrator has set aside; or `transparent`: large pages where the kernel finds some, in
   * memory without a file, since the kernel gives files none unless it is told to. To pin 256 MiB for a device is then 128 pages
   * instead of 65,536. Ordinary ones without.
   */
  readonly hugePages?: "2 MiB" | "1 GiB" | "transparent" | undefined;
}

/** A part of a guest's memory in this process. */
export interface MemoryPart extends MemoryPlace {
  /** The memory's own file (memfd): other processes and iommufd can map it. None with transparent huge pages. */
  readonly file: MemoryFile | undefined;
  /** Where this process has it. */
  readonly mapping: Mapping;
  /** The machine's number for it. */
  readonly slot: number;
}

const gib = 2 ** 30;
const hugePage = 2 ** 21;

/**
 * Places for so much memory in a PC: from 0 up to the hole below 4 GiB in which 32-bit BARs, interrupt chips and firmware
 * are, and the rest from 4 GiB on.
 * @param size in bytes
 * @param hole where the hole begins, in bytes
 */
export function pcMemoryPlaces(size: number, hole = 3 * gib): MemoryPlace[] {
  const below = { gpa: 0, size: Math.min(size, hole) };
  return size <= hole ? [below] : [below, { gpa: 4 * gib, size: size - hole }];
}

/**
 * A guest's RAM: memory files, or memory without, mapped here and shown to the guest by a memory slot each. `dispose` takes the slots away,
 * unmaps and closes all; DMA mappings of it are to be gone before. A part whose slot KVM keeps stays mapped: the guest would
 * reach whatever this process has there next.
 */
export class GuestMemory implements GuestAddresses, Disposable {
  /** Where the guest finds it, ascending by guest address. */
  readonly parts: readonly MemoryPart[];
  readonly #ram: GuestRam;
  readonly #unreleased: Unreleased<MemoryPart>;

  /**
   * Zeroed memory, shown to the guest at once.
   * @param slots of the machine @param options where it is, and of which pages
   * @throws VfioError where there is no such memory, or no slot for it: nothing is left then, but for a part whose slot KVM keeps
   */
  constructor(slots: KvmMemorySlots, { places, hugePages }: GuestMemoryOptions) {
    const unreleased = new Unreleased<MemoryPart>(({ slot, mapping, file }) => {
      slots.remove(slot);
      mapping[Symbol.dispose]();
      file?.[Symbol.dispose]();
    });
    this.#unreleased = unreleased;
    using failed = new DisposableStack();
    failed.defer(() => unreleased.settle());
    this.parts = places.map((place) => {
      const part = makePart(slots, place, hugePages);
      unreleased.add(part);
      return part;
    });
    this.#ram = new GuestRam(this.parts.map(({ mapping, ...part }) => ({ ...part, memory: mapping })));
    failed.move();
  }

  /** In bytes. */
  get size(): number {
    return this.parts.reduce((sum, { size }) => sum + size, 0);
  }

  /** Lets devices reach all of it at its guest physical addresses: `GuestRam.mapFor`. @returns what takes it back @throws VfioError */
  mapFor(dma: DmaMap): Disposable {
    return this.#ram.mapFor(dma);
  }

  /** The part that holds all of a range; undefined where the guest has no memory there, or it spans two. */
  find(gpa: number, size: number): MemoryPart | undefined {
    return this.parts.find((part) => contains({ base: part.gpa, size: part.size }, gpa, size));
  }

  /** Host virtual address of a range that lies in one part. */
  hostAddress(gpa: number, size: number): number | undefined {
    return this.#ram.hostAddress(gpa, size);
  }

  #inside(gpa: number, size: number): MemoryPart {
    const part = this.find(gpa, size);
    if (part) return part;
    throw new VfioError(`the guest has no memory at ${formatRange({ base: gpa, size })}`, { code: "EFAULT" });
  }

  /** The bytes themselves, shared with the guest. @param size in bytes, at most 2 GiB @throws VfioError (`EFAULT`), RangeError */
  view(gpa: number, size: number): Uint8Array<ArrayBuffer> {
    if (size > maxViewSize) throw new RangeError(`${size} bytes are more than one view can hold`);
    const { mapping, gpa: base } = this.#inside(gpa, size);
    return mapping.view(gpa - base, size);
  }

  /** Copies bytes out. @throws VfioError (`EFAULT`) where the guest has no memory */
  read(gpa: number, into: Uint8Array): void {
    const { mapping, gpa: base } = this.#inside(gpa, into.length);
    mapping.read(gpa - base, into);
  }

  /** Copies bytes in. @throws VfioError (`EFAULT`) where the guest has no memory */
  write(gpa: number, data: Uint8Array): void {
    const { mapping, gpa: base } = this.#inside(gpa, data.length);
    mapping.write(gpa - base, data);
  }

  /**
   * Takes the slots away, unmaps, closes. Safe to call twice.
   * @throws VfioError where KVM keeps a slot, after all the others are gone: its memory stays mapped, and the next call tries again
   */
  [Symbol.dispose](): void {
    this.#unreleased.settleOrThrow();
  }
}

function makePart(
  slots: KvmMemorySlots,
  { gpa, size }: MemoryPlace,
  hugePages: GuestMemoryOptions["hugePages"],
): MemoryPart {
  using failed = new DisposableStack();
  const transparent = hugePages === "transparent";
  const name = "guest memory";
  const file = transparent ? undefined : failed.use(new MemoryFile({ size, name, hugePages }));
  const mapping = failed.use(file?.map() ?? new Mapping({ size, name, alignment: hugePage }));
  if (transparent) {
    mapping.advise(memoryAdvice.HUGEPAGE);
    // A child would share the pages, and this process get others at its next write: devices keep the first.
    mapping.advise(memoryAdvice.DONTFORK);
  }
  const slot = slots.add({ gpa, size, hva: mapping.address, readOnly: false });
  failed.move();
  return { gpa, size, file, mapping, slot };
}
