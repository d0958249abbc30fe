// linux/iommufd.h: I/O page faults.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct iommu_fault_alloc`, of FAULT_QUEUE_ALLOC. */
export const IommuFaultAlloc = new Struct("iommu_fault_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("out_fault_id")
  .UInt32LE("out_fault_fd") // read faults from it, write responses to it
  .compile();
export type IommuFaultAlloc = Fields<typeof IommuFaultAlloc>;

/** `struct iommu_hwpt_pgfault`: one fault, as read from the queue. */
export const IommuHwptPgfault = new Struct("iommu_hwpt_pgfault")
  .UInt32LE("flags") // iommuPgfaultFlag
  .UInt32LE("dev_id")
  .UInt32LE("pasid")
  .UInt32LE("grpid")
  .UInt32LE("perm") // iommuPgfaultPermission
  .UInt32LE("__reserved")
  .BigUInt64LE("addr")
  .UInt32LE("length") // a hint, bytes
  .UInt32LE("cookie")
  .compile();
export type IommuHwptPgfault = Fields<typeof IommuHwptPgfault>;

/** `IOMMU_PGFAULT_FLAGS_*`. */
export const iommuPgfaultFlag = constants("IOMMU_PGFAULT_FLAGS_", { PASID_VALID: 1, LAST_PAGE: 2 });
/** `IOMMU_PGFAULT_PERM_*`: what the device asked for. */
export const iommuPgfaultPermission = constants("IOMMU_PGFAULT_PERM_", {
  READ: 1,
  WRITE: 2,
  EXEC: 4,
  PRIV: 8,
});

/** `struct iommu_hwpt_page_response`: the answer to the group whose last fault had this cookie. */
export const IommuHwptPageResponse = new Struct("iommu_hwpt_page_response")
  .UInt32LE("cookie")
  .UInt32LE("code") // iommuPageResponse
  .compile();
export type IommuHwptPageResponse = Fields<typeof IommuHwptPageResponse>;

/** `IOMMUFD_PAGE_RESP_*`. */
export const iommuPageResponse = constants("IOMMUFD_PAGE_RESP_", { SUCCESS: 0, INVALID: 1 });
