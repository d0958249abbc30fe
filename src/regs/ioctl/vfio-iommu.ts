// linux/vfio.h: DMA mapping through a container (type 1 and 1v2).
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";
import { VfioInfoCapHeader } from "./vfio-container.ts";

/** `struct vfio_iommu_type1_info`, of IOMMU_GET_INFO. */
export const VfioIommuType1Info = new Struct("vfio_iommu_type1_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioIommuInfoFlag
  .BigUInt64LE("iova_pgsizes") // bit n: pages of 2^n bytes
  .UInt32LE("cap_offset")
  .UInt32LE("pad")
  .compile();
export type VfioIommuType1Info = Fields<typeof VfioIommuType1Info>;

/** `VFIO_IOMMU_INFO_*`. */
export const vfioIommuInfoFlag = constants("VFIO_IOMMU_INFO_", { PGSIZES: 1, CAPS: 2 });

/** `VFIO_IOMMU_TYPE1_INFO_*`: ids in the IOMMU's capability chain. */
export const vfioIommuCapability = constants("VFIO_IOMMU_TYPE1_INFO_", {
  CAP_IOVA_RANGE: 1,
  CAP_MIGRATION: 2,
  DMA_AVAIL: 3,
});

/** `struct vfio_iova_range`: IOVA, both ends included. */
export const VfioIovaRange = new Struct("vfio_iova_range").BigUInt64LE("start").BigUInt64LE("end").compile();
export type VfioIovaRange = Fields<typeof VfioIovaRange>;

/** `struct vfio_iommu_type1_info_cap_iova_range`: all else is reserved. Tail: 16 bytes a range. */
export const VfioIommuType1InfoCapIovaRange = new Struct("vfio_iommu_type1_info_cap_iova_range")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("nr_iovas")
  .UInt32LE("reserved")
  .StructArray("iova_ranges", VfioIovaRange)
  .compile();
export type VfioIommuType1InfoCapIovaRange = Fields<typeof VfioIommuType1InfoCapIovaRange>;

/** `struct vfio_iommu_type1_info_cap_migration`: dirty page logging is there. */
export const VfioIommuType1InfoCapMigration = new Struct("vfio_iommu_type1_info_cap_migration")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("flags")
  .seek(4)
  .BigUInt64LE("pgsize_bitmap") // bit n: 2^n bytes a bit of the log
  .BigUInt64LE("max_dirty_bitmap_size") // bytes
  .compile();
export type VfioIommuType1InfoCapMigration = Fields<typeof VfioIommuType1InfoCapMigration>;

/** `struct vfio_iommu_type1_info_dma_avail`. */
export const VfioIommuType1InfoDmaAvail = new Struct("vfio_iommu_type1_info_dma_avail")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("avail") // further mappings
  .compile();
export type VfioIommuType1InfoDmaAvail = Fields<typeof VfioIommuType1InfoDmaAvail>;

/** `struct vfio_iommu_type1_dma_map`, of IOMMU_MAP_DMA. All three in bytes, of whole IOMMU pages. */
export const VfioIommuType1DmaMap = new Struct("vfio_iommu_type1_dma_map")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDmaMapFlag
  .BigUInt64LE("vaddr") // HVA
  .BigUInt64LE("iova")
  .BigUInt64LE("size")
  .compile();
export type VfioIommuType1DmaMap = Fields<typeof VfioIommuType1DmaMap>;

/** `VFIO_DMA_MAP_FLAG_*`: what the device may do. */
export const vfioDmaMapFlag = constants("VFIO_DMA_MAP_FLAG_", { READ: 1, WRITE: 2, VADDR: 4 });

/** `struct vfio_bitmap`. */
export const VfioBitmap = new Struct("vfio_bitmap")
  .BigUInt64LE("pgsize") // bytes a bit
  .BigUInt64LE("size") // of the bitmap, bytes
  .BigUInt64LE("data") // its address
  .compile();
export type VfioBitmap = Fields<typeof VfioBitmap>;

/** `struct vfio_iommu_type1_dma_unmap`, of IOMMU_UNMAP_DMA. Tail: a `VfioBitmap` with GET_DIRTY_BITMAP, else none. */
export const VfioIommuType1DmaUnmap = new Struct("vfio_iommu_type1_dma_unmap")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDmaUnmapFlag
  .BigUInt64LE("iova")
  .BigUInt64LE("size") // bytes; out: how many were mapped
  .Buffer("data")
  .compile();
export type VfioIommuType1DmaUnmap = Fields<typeof VfioIommuType1DmaUnmap>;

/** `VFIO_DMA_UNMAP_FLAG_*`. */
export const vfioDmaUnmapFlag = constants("VFIO_DMA_UNMAP_FLAG_", { GET_DIRTY_BITMAP: 1, ALL: 2, VADDR: 4 });

/** `struct vfio_iommu_type1_dirty_bitmap`, of IOMMU_DIRTY_PAGES. Tail: a `VfioIommuType1DirtyBitmapGet` for GET_BITMAP. */
export const VfioIommuType1DirtyBitmap = new Struct("vfio_iommu_type1_dirty_bitmap")
  .UInt32LE("argsz")
  .UInt32LE("flags") // one of vfioDirtyPagesFlag
  .Buffer("data")
  .compile();
export type VfioIommuType1DirtyBitmap = Fields<typeof VfioIommuType1DirtyBitmap>;

/** `VFIO_IOMMU_DIRTY_PAGES_FLAG_*`. */
export const vfioDirtyPagesFlag = constants("VFIO_IOMMU_DIRTY_PAGES_FLAG_", {
  START: 1,
  STOP: 2,
  GET_BITMAP: 4,
});

/** `struct vfio_iommu_type1_dirty_bitmap_get`: bytes of IOVA. */
export const VfioIommuType1DirtyBitmapGet = new Struct("vfio_iommu_type1_dirty_bitmap_get")
  .BigUInt64LE("iova")
  .BigUInt64LE("size")
  .Struct("bitmap", VfioBitmap)
  .compile();
export type VfioIommuType1DirtyBitmapGet = Fields<typeof VfioIommuType1DirtyBitmapGet>;
