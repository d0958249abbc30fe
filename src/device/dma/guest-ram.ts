import type { FileDescriptor } from "../../ffi/file-descriptor.ts";
import type { Mapping } from "../../ffi/mapping.ts";
import type { DmaMap } from "./dma-map.ts";
import type { GuestAddresses } from "./external-dma.ts";
import { RangeTable } from "../address/range-table.ts";
import { contains, formatRange, toRange, type Range } from "../address/range.ts";

/** A piece of guest RAM; numbers in bytes. */
export interface RamPiece {
  /** Guest physical address. */
  readonly gpa: number;
  /** In bytes. */
  readonly size: number;
  /** The memory that it is a part of: a mapping of any size. */
  readonly memory: Mapping;
  /** Where it begins in the memory; 0 without. */
  readonly offset?: number | undefined;
  /** The memfd that `memory` maps from its first byte: an IOMMU that maps files takes it. */
  readonly file?: FileDescriptor | undefined;
}

interface Placed extends Range {
  readonly piece: RamPiece;
  readonly offset: number;
}

/**
 * Guest RAM: which memory of this process the guest has where. Real machines leave holes, for devices below 4 GiB and where
 * the IOMMU takes messages (`iommu.ranges`). The memory, and the files it may be of, stay the caller's, who takes it from
 * devices before closing it. (`GuestMemory` of `bun-vfio/kvm` makes memory, shows it to a guest, and has one of these.)
 */
export class GuestRam implements GuestAddresses {
  readonly #pieces = new RangeTable<Placed>();

  /** @throws TypeError, RangeError for a piece that overlaps another or lies outside of its memory */
  constructor(pieces: readonly RamPiece[]) {
    for (const piece of pieces) {
      const { memory } = piece;
      const range = toRange(piece.gpa, piece.size, "piece of guest RAM");
      const { base: offset, size } = toRange(piece.offset ?? 0, piece.size, "memory of the piece");
      if (!contains({ base: 0, size: memory.size }, offset, size))
        throw new RangeError(
          `${formatRange(range)} of guest RAM does not lie in the ${memory.size} bytes of ${memory.name}`,
        );
      this.#pieces.insert({ ...range, piece, offset });
    }
  }

  hostAddress(gpa: number, size: number): number | undefined {
    const placed = this.#pieces.overlap({ base: gpa, size });
    if (!placed || !contains(placed, gpa, size)) return undefined;
    return placed.piece.memory.address + placed.offset + (gpa - placed.base);
  }

  /**
   * Lets devices reach all of it at its guest physical addresses: one mapping a piece, however large. All or none. What is
   * mapped already is counted, so each device that comes and goes may do this for itself.
   * @returns what takes it back
   * @throws VfioError as `DmaMap.map`
   */
  mapFor(dma: DmaMap): Disposable {
    return dma.mapAll(
      [...this.#pieces].map(({ base, size, offset, piece: { memory, file } }) => ({
        iova: base,
        size,
        hva: memory.address + offset,
        file: file && { fd: file.fd, offset },
        label: memory.name,
      })),
    );
  }
}
