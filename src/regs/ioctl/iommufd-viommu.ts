// linux/iommufd.h: virtual IOMMUs, their devices, events and queues.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct iommu_viommu_alloc`, of VIOMMU_ALLOC. Linux 6.13, with 24 bytes; the last three members since 6.17. */
export const IommuViommuAlloc = new Struct("iommu_viommu_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("type") // iommuViommuType
  .UInt32LE("dev_id")
  .UInt32LE("hwpt_id") // a nesting parent
  .UInt32LE("out_viommu_id")
  .UInt32LE("data_len") // bytes
  .UInt32LE("__reserved")
  .BigUInt64LE("data_uptr")
  .compile();
export type IommuViommuAlloc = Fields<typeof IommuViommuAlloc>;

/** `IOMMU_VIOMMU_TYPE_*`. Linux 6.13. */
export const iommuViommuType = constants("IOMMU_VIOMMU_TYPE_", { DEFAULT: 0, ARM_SMMUV3: 1 });

/** `struct iommu_vdevice_alloc`, of VDEVICE_ALLOC. Linux 6.13. */
export const IommuVdeviceAlloc = new Struct("iommu_vdevice_alloc")
  .UInt32LE("size")
  .UInt32LE("viommu_id")
  .UInt32LE("dev_id")
  .UInt32LE("out_vdevice_id")
  .BigUInt64LE("virt_id") // as the guest knows the device: a stream id, a RID
  .compile();
export type IommuVdeviceAlloc = Fields<typeof IommuVdeviceAlloc>;

/** `struct iommu_veventq_alloc`, of VEVENTQ_ALLOC. Linux 6.15. */
export const IommuVeventqAlloc = new Struct("iommu_veventq_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("viommu_id")
  .UInt32LE("type") // iommuVeventqType
  .UInt32LE("veventq_depth") // events
  .UInt32LE("out_veventq_id")
  .UInt32LE("out_veventq_fd")
  .UInt32LE("__reserved")
  .compile();
export type IommuVeventqAlloc = Fields<typeof IommuVeventqAlloc>;

/** `IOMMU_VEVENTQ_TYPE_*`. Linux 6.15. */
export const iommuVeventqType = constants("IOMMU_VEVENTQ_TYPE_", { DEFAULT: 0, ARM_SMMUV3: 1 });
/** `IOMMU_VEVENTQ_FLAG_*`. Linux 6.15. */
export const iommuVeventqFlag = constants("IOMMU_VEVENTQ_FLAG_", { LOST_EVENTS: 1 });

/** `struct iommufd_vevent_header`: before each event; with LOST_EVENTS no event follows. Linux 6.15. */
export const IommufdVeventHeader = new Struct("iommufd_vevent_header")
  .UInt32LE("flags") // iommuVeventqFlag
  .UInt32LE("sequence") // 0 to 2^31 - 1, then 0 again
  .compile();
export type IommufdVeventHeader = Fields<typeof IommufdVeventHeader>;

/** `struct iommu_vevent_arm_smmuv3`: one SMMUv3 event record. Linux 6.15. */
export const IommuVeventArmSmmuv3 = new Struct("iommu_vevent_arm_smmuv3").BigUInt64Array("evt", 4).compile();
export type IommuVeventArmSmmuv3 = Fields<typeof IommuVeventArmSmmuv3>;

/** `struct iommu_hw_queue_alloc`, of HW_QUEUE_ALLOC. Linux 6.17. */
export const IommuHwQueueAlloc = new Struct("iommu_hw_queue_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("viommu_id")
  .UInt32LE("type") // iommuHwQueueType
  .UInt32LE("index")
  .UInt32LE("out_hw_queue_id")
  .BigUInt64LE("nesting_parent_iova") // GPA
  .BigUInt64LE("length") // bytes
  .compile();
export type IommuHwQueueAlloc = Fields<typeof IommuHwQueueAlloc>;

/** `IOMMU_HW_QUEUE_TYPE_*`. Linux 6.17. */
export const iommuHwQueueType = constants("IOMMU_HW_QUEUE_TYPE_", { DEFAULT: 0 });
