// Resets (linux/vfio.h): of the function, and of the bus or slot with all that is on it.
import { checked } from "../regs/ioctl/integer.ts";
import { bytesOf, create, memberRange, view } from "../regs/ioctl/struct.ts";
import {
  VfioPciDependentDevice,
  VfioPciHotReset,
  VfioPciHotResetInfo,
  vfioPciDevid,
  vfioPciHotResetFlag,
} from "../regs/ioctl/vfio-reset.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { ioctl, ioctlError, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { malformed } from "./vfio-info.ts";

const noSpace = 28;
const groupFd = memberRange(VfioPciHotReset, "group_fds");
/** The most functions that a bus reset may reach: 256 to a bus, and buses behind bridges. */
const maxDevices = 65536;

/** VFIO_DEVICE_RESET. @throws VfioError EINVAL where the function cannot be reset alone */
export function resetDevice(device: number, context: IoctlContext = {}): void {
  ioctl(device, vfioRequest.DEVICE_RESET, 0, { ...context, request: "VFIO_DEVICE_RESET" });
}

/** A function that a hot reset reaches. */
export interface DependentDevice {
  /** Its PCI domain. */
  readonly segment: number;
  /** 0 to 255. */
  readonly bus: number;
  /** Device << 3 | function. */
  readonly devfn: number;
  /** IOMMU group; undefined for a device opened through an iommufd. */
  readonly group: number | undefined;
  /** Its object in our iommufd; undefined where it is not there, or the device was opened through a group. */
  readonly devid: number | undefined;
  /** Through an iommufd: nobody else holds it. Through a group the kernel cannot tell, as undefined. */
  readonly owned: boolean | undefined;
}

/** The functions that a hot reset would reach (VFIO_DEVICE_GET_PCI_HOT_RESET_INFO). */
export interface HotResetInfo {
  /** All that such a reset would reset. */
  readonly devices: readonly DependentDevice[];
  /** Through an iommufd: all are ours to reset. Undefined through a group. */
  readonly allOwned: boolean | undefined;
}

/** VFIO_DEVICE_GET_PCI_HOT_RESET_INFO. @throws VfioError ENODEV where neither bus nor slot can be reset */
export function getHotResetInfo(device: number, context: IoctlContext = {}): HotResetInfo {
  const what = { ...context, request: "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO" };
  const each = VfioPciDependentDevice.baseSize;
  let room = 32;
  for (let tries = 0; tries < 4 && room <= maxDevices; tries++) {
    const info = create(VfioPciHotResetInfo, room * each);
    info.argsz = bytesOf(info).byteLength;
    const result = ioctlOrErrno(device, vfioRequest.DEVICE_GET_PCI_HOT_RESET_INFO, bytesOf(info));
    if (result === -noSpace && info.count > room) {
      room = info.count;
      continue;
    }
    if (result < 0) throw ioctlError(-result, what);
    if (info.count > room) throw malformed(what, `has ${info.count} devices in room for ${room}`);
    const byId = (info.flags & vfioPciHotResetFlag.DEV_ID) !== 0;
    return {
      devices: Array.from({ length: info.count }, (_, index) =>
        dependent(bytesOf(info), VfioPciHotResetInfo.baseSize + index * each, byId),
      ),
      allOwned: byId ? (info.flags & vfioPciHotResetFlag.DEV_ID_OWNED) !== 0 : undefined,
    };
  }
  throw malformed(what, `asks for room for ${room} devices`);
}

function dependent(bytes: Uint8Array, offset: number, byId: boolean): DependentDevice {
  const { group_id: id, segment, bus, devfn } = view(VfioPciDependentDevice, bytes, offset);
  const known = id !== vfioPciDevid.OWNED && id !== vfioPciDevid.NOT_OWNED;
  return {
    segment,
    bus,
    devfn,
    group: byId ? undefined : id,
    devid: byId && known ? id : undefined,
    owned: byId ? id !== vfioPciDevid.NOT_OWNED : undefined,
  };
}

/**
 * VFIO_DEVICE_PCI_HOT_RESET.
 * @param groups descriptors of every group that it reaches; none for a device bound to an iommufd
 */
export function hotReset(device: number, groups: readonly number[], context: IoctlContext = {}): void {
  const reset = create(VfioPciHotReset, 4 * groups.length);
  const bytes = bytesOf(reset);
  reset.argsz = bytes.byteLength;
  reset.count = groups.length;
  const tail = new DataView(bytes.buffer, bytes.byteOffset + VfioPciHotReset.baseSize, 4 * groups.length);
  groups.forEach((group, index) => tail.setInt32(4 * index, checked(group, groupFd), true));
  ioctl(device, vfioRequest.DEVICE_PCI_HOT_RESET, bytes, {
    ...context,
    request: () => `VFIO_DEVICE_PCI_HOT_RESET groups ${groups.length}`,
  });
}
