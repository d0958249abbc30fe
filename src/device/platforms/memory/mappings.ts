import type { Dma, DmaMapping } from "../../seam/platform.ts";
import { formatRange, intersects } from "../../address/range.ts";
import { type Journal, refuse } from "./journal.ts";
import { checkPages } from "./slots.ts";

const iovaRange = ({ iova, size }: { iova: number; size: number }) => ({ base: iova, size });

/** IOMMU mappings as VFIO's type 1 keeps them: page-aligned, none over another, taken back as they were made. */
export class Mappings implements Dma {
  readonly #journal: Journal;
  readonly #pageSize: number;
  readonly #mappings = new Map<number, DmaMapping>();

  constructor(journal: Journal, pageSize: number) {
    this.#journal = journal;
    this.#pageSize = pageSize;
  }

  map({ iova, size, hva, readable, writable }: DmaMapping): void {
    const mapping = { iova, size, hva, readable, writable };
    checkPages(iova, size, "DMA mapping", this.#pageSize);
    checkPages(hva, size, "memory of the DMA mapping", this.#pageSize);
    if (hva === 0) throw new RangeError("hva of a DMA mapping must not be 0");
    if (typeof readable !== "boolean" || typeof writable !== "boolean")
      throw new TypeError("readable and writable must be booleans");
    if (!readable && !writable) throw new RangeError("a DMA mapping must be readable, writable or both");
    for (const other of this.#mappings.values())
      if (intersects(iovaRange(mapping), iovaRange(other)))
        throw refuse(
          "EEXIST",
          `DMA mapping ${formatRange(iovaRange(mapping))} overlaps the one at ${formatRange(iovaRange(other))}`,
        );
    this.#journal.perform({ kind: "dma-map", ...mapping }, () => this.#mappings.set(iova, mapping));
  }

  unmap(iova: number, size: number): void {
    this.#journal.check();
    const mapping = this.#mappings.get(iova);
    if (mapping?.size !== size)
      throw refuse(
        "ENOENT",
        `there is no DMA mapping ${formatRange({ base: iova, size })} to unmap` +
          (mapping ? `: the one that starts there is ${formatRange(iovaRange(mapping))}` : ""),
      );
    this.#journal.perform({ kind: "dma-unmap", iova, size }, () => this.#mappings.delete(iova));
  }

  /** By IOVA. */
  state(): DmaMapping[] {
    return [...this.#mappings.values()].sort((a, b) => a.iova - b.iova);
  }

  clear(): void {
    this.#mappings.clear();
  }
}
