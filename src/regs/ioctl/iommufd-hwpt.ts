// linux/iommufd.h: hardware page tables, nested ones included.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct iommu_hwpt_alloc`, of HWPT_ALLOC. Kernels before 6.12 know 40 bytes and no fault queue. */
export const IommuHwptAlloc = new Struct("iommu_hwpt_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuHwptAllocFlag
  .UInt32LE("dev_id")
  .UInt32LE("pt_id") // an IOAS, a parent HWPT or a vIOMMU
  .UInt32LE("out_hwpt_id")
  .UInt32LE("__reserved")
  .UInt32LE("data_type") // iommuHwptDataType
  .UInt32LE("data_len") // bytes
  .BigUInt64LE("data_uptr")
  .UInt32LE("fault_id") // with FAULT_ID_VALID
  .UInt32LE("__reserved2")
  .compile();
export type IommuHwptAlloc = Fields<typeof IommuHwptAlloc>;

/** `IOMMU_HWPT_*`: `enum iommufd_hwpt_alloc_flags`. */
export const iommuHwptAllocFlag = constants("IOMMU_HWPT_", {
  ALLOC_NEST_PARENT: 1,
  ALLOC_DIRTY_TRACKING: 2,
  FAULT_ID_VALID: 4,
  ALLOC_PASID: 8, // Linux 6.15
});

/** `IOMMU_HWPT_DATA_*`: `enum iommu_hwpt_data_type`. */
export const iommuHwptDataType = constants("IOMMU_HWPT_DATA_", {
  NONE: 0,
  VTD_S1: 1,
  ARM_SMMUV3: 2, // Linux 6.13
});

/** `struct iommu_hwpt_vtd_s1`: a first stage of Intel VT-d. */
export const IommuHwptVtdS1 = new Struct("iommu_hwpt_vtd_s1")
  .BigUInt64LE("flags") // iommuVtdS1Flag
  .BigUInt64LE("pgtbl_addr") // GPA
  .UInt32LE("addr_width") // bits
  .UInt32LE("__reserved")
  .compile();
export type IommuHwptVtdS1 = Fields<typeof IommuHwptVtdS1>;

/** `IOMMU_VTD_S1_*`: `enum iommu_hwpt_vtd_s1_flags`. */
export const iommuVtdS1Flag = constants("IOMMU_VTD_S1_", { SRE: 1, EAFE: 2, WPE: 4 });

/** `struct iommu_hwpt_arm_smmuv3`: the first two words of a stream table entry. Linux 6.13. */
export const IommuHwptArmSmmuv3 = new Struct("iommu_hwpt_arm_smmuv3").BigUInt64Array("ste", 2).compile();
export type IommuHwptArmSmmuv3 = Fields<typeof IommuHwptArmSmmuv3>;

/** `struct iommu_hwpt_set_dirty_tracking`, of HWPT_SET_DIRTY_TRACKING. */
export const IommuHwptSetDirtyTracking = new Struct("iommu_hwpt_set_dirty_tracking")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuHwptDirtyTracking, or 0 to stop
  .UInt32LE("hwpt_id")
  .UInt32LE("__reserved")
  .compile();
export type IommuHwptSetDirtyTracking = Fields<typeof IommuHwptSetDirtyTracking>;

/** `IOMMU_HWPT_DIRTY_TRACKING_*`. */
export const iommuHwptDirtyTracking = constants("IOMMU_HWPT_DIRTY_TRACKING_", { ENABLE: 1 });

/** `struct iommu_hwpt_get_dirty_bitmap`, of HWPT_GET_DIRTY_BITMAP. */
export const IommuHwptGetDirtyBitmap = new Struct("iommu_hwpt_get_dirty_bitmap")
  .UInt32LE("size")
  .UInt32LE("hwpt_id")
  .UInt32LE("flags") // iommuHwptGetDirtyBitmapFlag
  .UInt32LE("__reserved")
  .BigUInt64LE("iova")
  .BigUInt64LE("length") // bytes
  .BigUInt64LE("page_size") // bytes a bit
  .BigUInt64LE("data") // address of the bitmap
  .compile();
export type IommuHwptGetDirtyBitmap = Fields<typeof IommuHwptGetDirtyBitmap>;

/** `IOMMU_HWPT_GET_DIRTY_BITMAP_*`. */
export const iommuHwptGetDirtyBitmapFlag = constants("IOMMU_HWPT_GET_DIRTY_BITMAP_", { NO_CLEAR: 1 });

/** `struct iommu_hwpt_invalidate`, of HWPT_INVALIDATE. */
export const IommuHwptInvalidate = new Struct("iommu_hwpt_invalidate")
  .UInt32LE("size")
  .UInt32LE("hwpt_id") // a nested HWPT or a vIOMMU
  .BigUInt64LE("data_uptr")
  .UInt32LE("data_type") // iommuHwptInvalidateDataType or iommuViommuInvalidateDataType
  .UInt32LE("entry_len") // bytes
  .UInt32LE("entry_num") // out: how many were done
  .UInt32LE("__reserved")
  .compile();
export type IommuHwptInvalidate = Fields<typeof IommuHwptInvalidate>;

/** `IOMMU_HWPT_INVALIDATE_DATA_*`: `enum iommu_hwpt_invalidate_data_type`, for a HWPT. */
export const iommuHwptInvalidateDataType = constants("IOMMU_HWPT_INVALIDATE_DATA_", { VTD_S1: 0 });
/** `IOMMU_VIOMMU_INVALIDATE_DATA_*`: the same enum, for a vIOMMU. Linux 6.13. */
export const iommuViommuInvalidateDataType = constants("IOMMU_VIOMMU_INVALIDATE_DATA_", { ARM_SMMUV3: 1 });

/** `struct iommu_hwpt_vtd_s1_invalidate`: `addr` 0 with `npages` all ones is everything. */
export const IommuHwptVtdS1Invalidate = new Struct("iommu_hwpt_vtd_s1_invalidate")
  .BigUInt64LE("addr") // of whole 4 KiB pages
  .BigUInt64LE("npages") // of 4 KiB
  .UInt32LE("flags") // iommuVtdInvalidateFlag
  .UInt32LE("__reserved")
  .compile();
export type IommuHwptVtdS1Invalidate = Fields<typeof IommuHwptVtdS1Invalidate>;

/** `IOMMU_VTD_INV_FLAGS_*`. */
export const iommuVtdInvalidateFlag = constants("IOMMU_VTD_INV_FLAGS_", { LEAF: 1 });

/** `struct iommu_viommu_arm_smmuv3_invalidate`: one command of an SMMUv3 queue. Linux 6.13. */
export const IommuViommuArmSmmuv3Invalidate = new Struct("iommu_viommu_arm_smmuv3_invalidate")
  .BigUInt64Array("cmd", 2)
  .compile();
export type IommuViommuArmSmmuv3Invalidate = Fields<typeof IommuViommuArmSmmuv3Invalidate>;
