// A device's own character device with an iommufd (linux/vfio.h): `/dev/vfio/devices/vfio0`.
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import {
  VfioDeviceAttachIommufdPt,
  VfioDeviceBindIommufd,
  VfioDeviceDetachIommufdPt,
  vfioDeviceAttachFlag,
  vfioDeviceBindFlag,
  vfioDeviceDetachFlag,
} from "../regs/ioctl/vfio-cdev.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { addressOf, ioctl, type IoctlContext } from "./ioctl.ts";

/** Bytes of `struct vfio_device_bind_iommufd` that every kernel with cdevs knows. */
const bindSize = 16;
/** The same of the attach and detach structs. */
const attachSize = 12;
const detachSize = 8;

/**
 * VFIO_DEVICE_BIND_IOMMUFD. Only then does the device answer.
 * @param token 16 bytes of a VF token; wants Linux 6.18
 * @returns the device's id in the iommufd
 */
export function bindIommufd(
  device: number,
  iommufd: number,
  token: Uint8Array | undefined,
  context: IoctlContext = {},
): number {
  const bind = create(VfioDeviceBindIommufd);
  bind.argsz = token ? VfioDeviceBindIommufd.baseSize : bindSize;
  bind.iommufd = iommufd;
  // The token stays alive to the end of the call: its copy here is one that does not move.
  const memory = new Uint8Array(new ArrayBuffer(16));
  if (token) {
    if (token.byteLength !== 16) throw new RangeError(`a VF token has 16 bytes, not ${token.byteLength}`);
    memory.set(token);
    bind.flags = vfioDeviceBindFlag.TOKEN;
    bind.token_uuid_ptr = addressOf(memory);
  }
  ioctl(device, vfioRequest.DEVICE_BIND_IOMMUFD, bytesOf(bind), {
    ...context,
    request: `VFIO_DEVICE_BIND_IOMMUFD${token ? " TOKEN" : ""}`,
  });
  memory.fill(0);
  return bind.out_devid;
}

/**
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT.
 * @param pageTable id of an IOAS or a HWPT
 * @param pasid attaches this PASID alone; wants Linux 6.15
 * @returns the id of the HWPT that is used
 */
export function attachIommufdPt(
  device: number,
  pageTable: number,
  pasid?: number,
  context: IoctlContext = {},
): number {
  const attach = create(VfioDeviceAttachIommufdPt);
  attach.argsz = pasid === undefined ? attachSize : VfioDeviceAttachIommufdPt.baseSize;
  attach.flags = pasid === undefined ? 0 : vfioDeviceAttachFlag.PASID;
  attach.pt_id = pageTable;
  if (pasid !== undefined) attach.pasid = pasid;
  ioctl(device, vfioRequest.DEVICE_ATTACH_IOMMUFD_PT, bytesOf(attach), {
    ...context,
    request: `VFIO_DEVICE_ATTACH_IOMMUFD_PT ${pageTable}${pasid === undefined ? "" : ` PASID ${pasid}`}`,
  });
  return attach.pt_id;
}

/** VFIO_DEVICE_DETACH_IOMMUFD_PT. @param pasid detaches this PASID alone; wants Linux 6.15 */
export function detachIommufdPt(device: number, pasid?: number, context: IoctlContext = {}): void {
  const detach = create(VfioDeviceDetachIommufdPt);
  detach.argsz = pasid === undefined ? detachSize : VfioDeviceDetachIommufdPt.baseSize;
  detach.flags = pasid === undefined ? 0 : vfioDeviceDetachFlag.PASID;
  if (pasid !== undefined) detach.pasid = pasid;
  ioctl(device, vfioRequest.DEVICE_DETACH_IOMMUFD_PT, bytesOf(detach), {
    ...context,
    request: `VFIO_DEVICE_DETACH_IOMMUFD_PT${pasid === undefined ? "" : ` PASID ${pasid}`}`,
  });
}
