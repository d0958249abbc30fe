// ioctl requests of linux/iommufd.h: _IO(';', n), so no size is encoded (every argument starts with `size`).
import { constants } from "./constants.ts";

/** `IOMMU_*` requests on an iommufd. */
export const iommufdRequest = constants("IOMMU_", {
  DESTROY: 0x3b80,
  IOAS_ALLOC: 0x3b81,
  IOAS_ALLOW_IOVAS: 0x3b82,
  IOAS_COPY: 0x3b83,
  IOAS_IOVA_RANGES: 0x3b84,
  IOAS_MAP: 0x3b85,
  IOAS_UNMAP: 0x3b86,
  OPTION: 0x3b87,
  VFIO_IOAS: 0x3b88,
  HWPT_ALLOC: 0x3b89,
  GET_HW_INFO: 0x3b8a,
  HWPT_SET_DIRTY_TRACKING: 0x3b8b,
  HWPT_GET_DIRTY_BITMAP: 0x3b8c,
  HWPT_INVALIDATE: 0x3b8d,
  FAULT_QUEUE_ALLOC: 0x3b8e,
  IOAS_MAP_FILE: 0x3b8f, // Linux 6.13
  VIOMMU_ALLOC: 0x3b90, // Linux 6.13
  VDEVICE_ALLOC: 0x3b91, // Linux 6.13
  IOAS_CHANGE_PROCESS: 0x3b92, // Linux 6.14
  VEVENTQ_ALLOC: 0x3b93, // Linux 6.15
  HW_QUEUE_ALLOC: 0x3b94, // Linux 6.17
  IOAS_NOIOMMU_GET_PA: 0x3b95, // Linux 7.3
});
