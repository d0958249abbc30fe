import type { FileDescriptor } from "../ffi/file-descriptor.ts";
import type { Mapping } from "../ffi/mapping.ts";
import type { DmaMap } from "./dma-map.ts";
import type { GuestMemory } from "./external-dma.ts";
import { RangeTable } from "./range-table.ts";
import { contains, formatRange, toRange, type Range } from "./range.ts";

/** A piece of guest RAM; all in bytes. */
export interface RamPiece {
  /** Guest physical address. */
  readonly gpa: number;
  readonly size: number;
  /** Where it begins in the memory behind. */
  readonly offset: number;
}

interface Placed extends Range {
  readonly offset: number;
}

/**
 * Guest RAM: memory of this process, and where the guest has which piece of it. Real machines leave holes, for devices
 * below 4 GiB and where the IOMMU takes messages (`iommu.ranges`). The memory, and the file it may be of, stay the
 * caller's, who unmaps it from devices before closing it.
 */
export class GuestRam implements GuestMemory {
  readonly #memory: Mapping;
  readonly #file: FileDescriptor | undefined;
  readonly #pieces = new RangeTable<Placed>();

  /**
   * @param memory all of it, in one mapping of any size
   * @param file the memfd that `memory` maps from its first byte: an IOMMU that maps files takes it
   * @throws TypeError, RangeError for a piece that overlaps another or lies outside of the memory
   */
  constructor(memory: Mapping, pieces: readonly RamPiece[], file?: FileDescriptor) {
    this.#memory = memory;
    this.#file = file;
    for (const { gpa, size, offset } of pieces) {
      const range = toRange(gpa, size, "piece of guest RAM");
      const behind = toRange(offset, size, "memory of the piece");
      if (!contains({ base: 0, size: memory.size }, behind.base, behind.size))
        throw new RangeError(
          `${formatRange(range)} of guest RAM does not lie in the ${memory.size} bytes of ${memory.name}`,
        );
      this.#pieces.insert({ ...range, offset: behind.base });
    }
  }

  hostAddress(gpa: number, size: number): number | undefined {
    const piece = this.#pieces.overlap({ base: gpa, size });
    if (!piece || !contains(piece, gpa, size)) return undefined;
    return this.#memory.address + piece.offset + (gpa - piece.base);
  }

  /**
   * Lets devices reach all of it at its guest physical addresses: one mapping a piece, however large. All or none.
   * @returns what takes it back
   * @throws VfioError as `DmaMap.map`
   */
  mapFor(dma: DmaMap): Disposable {
    return dma.mapAll(
      [...this.#pieces].map(({ base, size, offset }) => ({
        iova: base,
        size,
        hva: this.#memory.address + offset,
        file: this.#file && { fd: this.#file.fd, offset },
        label: this.#memory.name,
      })),
    );
  }
}
