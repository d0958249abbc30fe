// ioctl requests of linux/vfio.h: _IO(';', 100 + n), so no size is encoded (every argument carries `argsz`).
import { constants } from "./constants.ts";

/**
 * `VFIO_*` requests. Some numbers mean two things: which one depends on the kind of file descriptor (a device's or a
 * container's). sPAPR and EEH are left out.
 */
export const vfioRequest = constants("VFIO_", {
  GET_API_VERSION: 0x3b64, // container
  CHECK_EXTENSION: 0x3b65, // container
  SET_IOMMU: 0x3b66, // container
  GROUP_GET_STATUS: 0x3b67, // group
  GROUP_SET_CONTAINER: 0x3b68, // group
  GROUP_UNSET_CONTAINER: 0x3b69, // group
  GROUP_GET_DEVICE_FD: 0x3b6a, // group
  DEVICE_GET_INFO: 0x3b6b,
  DEVICE_GET_REGION_INFO: 0x3b6c,
  DEVICE_GET_IRQ_INFO: 0x3b6d,
  DEVICE_SET_IRQS: 0x3b6e,
  DEVICE_RESET: 0x3b6f,
  DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
  DEVICE_PCI_HOT_RESET: 0x3b71,
  DEVICE_QUERY_GFX_PLANE: 0x3b72,
  DEVICE_GET_GFX_DMABUF: 0x3b73,
  DEVICE_IOEVENTFD: 0x3b74,
  DEVICE_FEATURE: 0x3b75,
  DEVICE_BIND_IOMMUFD: 0x3b76,
  DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
  DEVICE_DETACH_IOMMUFD_PT: 0x3b78,
  MIG_GET_PRECOPY_INFO: 0x3b79, // migration data file
  IOMMU_GET_INFO: 0x3b70, // container
  IOMMU_MAP_DMA: 0x3b71, // container
  IOMMU_UNMAP_DMA: 0x3b72, // container
  IOMMU_ENABLE: 0x3b73, // container
  IOMMU_DISABLE: 0x3b74, // container
  IOMMU_DIRTY_PAGES: 0x3b75, // container
});
