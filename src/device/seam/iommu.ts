// The seam below everything that maps memory for a device's DMA: a type1 container and an iommufd address space
// implement it. Policy (what may be mapped where, and what to say when it may not) stands above it, in `DmaMap`.
import type { DmaMapping } from "./platform.ts";
import type { Range } from "../address/range.ts";

/**
 * A mapping as the kernel is asked for it: `iova`, `size` and `hva` are multiples of the IOMMU's page size. A `file` is mapped
 * instead of what lies at `hva` (IOMMU_IOAS_MAP_FILE).
 */
export type IommuMapping = DmaMapping;

/** An address space of an IOMMU. Every call does all of its work or throws a `VfioError`. */
export interface Iommu extends Disposable {
  /** For messages: `type1v2 container`, `IOAS 3`. */
  readonly name: string;
  /** The smallest page that it maps, in bytes; a power of two. */
  readonly pageSize: number;
  /** IOVAs that may be used now, ascending; they shrink when a device joins. Empty where the kernel does not say. */
  readonly ranges: readonly Range[];
  /** Mappings that it can hold at most (`dma_entry_limit` of type1); undefined where there is no such limit. */
  readonly maxMappings: number | undefined;
  /** Whether pinned memory counts against RLIMIT_MEMLOCK of a process without CAP_IPC_LOCK. */
  readonly accountsMemlock: boolean;
  /** Whether it maps a device's memory by its address in this process, as type1 does; an iommufd wants a dma-buf. */
  readonly mapsDeviceMemory: boolean;
  /** Whether it can map files. */
  readonly mapsFiles: boolean;
  /** Nobody else maps in it: whatever `unmapAll` finds there is ours. */
  readonly exclusive: boolean;
  /** Unchecked: `DmaMap` is what programs use. @param mapping what is mapped where @throws VfioError; nothing is mapped then */
  map(mapping: IommuMapping): void;
  /** @returns bytes unmapped */
  unmap(iova: number, size: number): number;
  /** @returns bytes unmapped */
  unmapAll(): number;
}
