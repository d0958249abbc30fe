// Requests on a group (linux/vfio.h): `/dev/vfio/12`, `/dev/vfio/noiommu-0`.
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { VfioGroupStatus, vfioGroupFlag } from "../regs/ioctl/vfio-container.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { cString } from "./c-string.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";

/** What the kernel says of a group (VFIO_GROUP_GET_STATUS). */
export interface GroupStatus {
  /** Every device of the group is bound to VFIO, or to nothing that could do DMA. */
  readonly viable: boolean;
  /** Whether it is in a container already. */
  readonly containerSet: boolean;
}

/** VFIO_GROUP_GET_STATUS. */
export function getGroupStatus(group: number, context: IoctlContext = {}): GroupStatus {
  const status = create(VfioGroupStatus);
  status.argsz = VfioGroupStatus.baseSize;
  ioctl(group, vfioRequest.GROUP_GET_STATUS, bytesOf(status), {
    ...context,
    request: "VFIO_GROUP_GET_STATUS",
  });
  return {
    viable: (status.flags & vfioGroupFlag.VIABLE) !== 0,
    containerSet: (status.flags & vfioGroupFlag.CONTAINER_SET) !== 0,
  };
}

/** VFIO_GROUP_SET_CONTAINER. @param container descriptor of a container or of an iommufd */
export function setGroupContainer(group: number, container: number, context: IoctlContext = {}): void {
  const argument = new Uint8Array(new ArrayBuffer(4));
  new DataView(argument.buffer).setInt32(0, checked(container, int32("a container")), true);
  ioctl(group, vfioRequest.GROUP_SET_CONTAINER, argument, {
    ...context,
    request: "VFIO_GROUP_SET_CONTAINER",
  });
}

/** VFIO_GROUP_UNSET_CONTAINER. @throws VfioError EBUSY while a device of the group is open */
export function unsetGroupContainer(group: number, context: IoctlContext = {}): void {
  ioctl(group, vfioRequest.GROUP_UNSET_CONTAINER, 0, { ...context, request: "VFIO_GROUP_UNSET_CONTAINER" });
}

/**
 * VFIO_GROUP_GET_DEVICE_FD.
 * @param name the BDF; for a virtual function whose physical one is used through VFIO, `BDF vf_token=UUID`
 * @returns a descriptor that the caller closes
 */
export const getGroupDeviceFd = (group: number, name: string, context: IoctlContext = {}): number =>
  ioctl(group, vfioRequest.GROUP_GET_DEVICE_FD, cString(name), {
    ...context,
    // The token is a secret: the message does without.
    request: () => `VFIO_GROUP_GET_DEVICE_FD ${name.replace(/vf_token=.*/, "vf_token=...")}`,
  });
