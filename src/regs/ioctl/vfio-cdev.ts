// linux/vfio.h: a device's own character device, used with an iommufd instead of a group and a container.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct vfio_device_bind_iommufd`, of DEVICE_BIND_IOMMUFD. Kernels before 6.18 know 16 bytes and no token. */
export const VfioDeviceBindIommufd = new Struct("vfio_device_bind_iommufd")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDeviceBindFlag
  .Int32LE("iommufd")
  .UInt32LE("out_devid")
  .BigUInt64LE("token_uuid_ptr") // address of 16 bytes
  .compile();
export type VfioDeviceBindIommufd = Fields<typeof VfioDeviceBindIommufd>;

/** `VFIO_DEVICE_BIND_FLAG_*`. Linux 6.18. */
export const vfioDeviceBindFlag = constants("VFIO_DEVICE_BIND_FLAG_", { TOKEN: 1 });

/** `struct vfio_device_attach_iommufd_pt`, of DEVICE_ATTACH_IOMMUFD_PT. Kernels before 6.15 know 12 bytes and no PASID. */
export const VfioDeviceAttachIommufdPt = new Struct("vfio_device_attach_iommufd_pt")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDeviceAttachFlag
  .UInt32LE("pt_id") // an IOAS or a HWPT; out: the HWPT in use
  .UInt32LE("pasid")
  .compile();
export type VfioDeviceAttachIommufdPt = Fields<typeof VfioDeviceAttachIommufdPt>;

/** `VFIO_DEVICE_ATTACH_*`. Linux 6.15. */
export const vfioDeviceAttachFlag = constants("VFIO_DEVICE_ATTACH_", { PASID: 1 });

/** `struct vfio_device_detach_iommufd_pt`, of DEVICE_DETACH_IOMMUFD_PT. Kernels before 6.15 know 8 bytes and no PASID. */
export const VfioDeviceDetachIommufdPt = new Struct("vfio_device_detach_iommufd_pt")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDeviceDetachFlag
  .UInt32LE("pasid")
  .compile();
export type VfioDeviceDetachIommufdPt = Fields<typeof VfioDeviceDetachIommufdPt>;

/** `VFIO_DEVICE_DETACH_*`. Linux 6.15. */
export const vfioDeviceDetachFlag = constants("VFIO_DEVICE_DETACH_", { PASID: 1 });
