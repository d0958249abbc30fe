// linux/iommufd.h: what the IOMMU behind a device can do.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct iommu_hw_info`, of GET_HW_INFO. Kernels before 6.17 know `out_data_type` only. */
export const IommuHwInfo = new Struct("iommu_hw_info")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuHwInfoFlag
  .UInt32LE("dev_id")
  .UInt32LE("data_len") // in: room in bytes; out: bytes the kernel has
  .BigUInt64LE("data_uptr")
  .UInt32LE(["out_data_type", "in_data_type"]) // iommuHwInfoType
  .UInt8("out_max_pasid_log2") // 0 = no PASID
  .UInt8Array("__reserved", 3)
  .BigUInt64LE("out_capabilities") // iommuHwCapability
  .compile();
export type IommuHwInfo = Fields<typeof IommuHwInfo>;

/** `IOMMU_HW_INFO_FLAG_*`: `in_data_type` is asked for. Linux 6.17. */
export const iommuHwInfoFlag = constants("IOMMU_HW_INFO_FLAG_", { INPUT_TYPE: 1 });

/** `IOMMU_HW_INFO_TYPE_*`: `enum iommu_hw_info_type`. */
export const iommuHwInfoType = constants("IOMMU_HW_INFO_TYPE_", {
  NONE: 0,
  INTEL_VTD: 1,
  ARM_SMMUV3: 2, // Linux 6.13
});

/** `IOMMU_HW_CAP_*`: `enum iommufd_hw_capabilities`. */
export const iommuHwCapability = constants("IOMMU_HW_CAP_", {
  DIRTY_TRACKING: 1,
  PCI_PASID_EXEC: 2,
  PCI_PASID_PRIV: 4,
});

/** `struct iommu_hw_info_vtd`: Intel VT-d. */
export const IommuHwInfoVtd = new Struct("iommu_hw_info_vtd")
  .UInt32LE("flags") // iommuHwInfoVtdFlag
  .UInt32LE("__reserved")
  .BigUInt64LE("cap_reg") // VT-d specification 11.4.2
  .BigUInt64LE("ecap_reg") // VT-d specification 11.4.3
  .compile();
export type IommuHwInfoVtd = Fields<typeof IommuHwInfoVtd>;

/** `IOMMU_HW_INFO_VTD_*`: ERRATA_772415_SPR17 forbids read-only mappings below a nested table. */
export const iommuHwInfoVtdFlag = constants("IOMMU_HW_INFO_VTD_", { ERRATA_772415_SPR17: 1 });

/** `struct iommu_hw_info_arm_smmuv3`: identification registers. Linux 6.13. */
export const IommuHwInfoArmSmmuv3 = new Struct("iommu_hw_info_arm_smmuv3")
  .UInt32LE("flags")
  .UInt32LE("__reserved")
  .UInt32Array("idr", 6)
  .UInt32LE("iidr")
  .UInt32LE("aidr")
  .compile();
export type IommuHwInfoArmSmmuv3 = Fields<typeof IommuHwInfoArmSmmuv3>;
