// Options of an iommufd, and the address space behind one that is used as a container (linux/iommufd.h).
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import {
  IommuOption,
  IommuVfioIoas,
  iommuOption,
  iommuOptionOp,
  iommuVfioIoasOp,
} from "../regs/ioctl/iommufd-ioas.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { ioctl, ioctlOrErrno, valueName, type IoctlContext } from "./ioctl.ts";

/** IOMMU_OPTION with GET. @param option of `iommuOption` @param object an IOAS, or 0 @returns its value */
export function getIommuOption(
  iommufd: number,
  option: number,
  object: number,
  context: IoctlContext = {},
): bigint {
  const get = create(IommuOption);
  get.size = IommuOption.baseSize;
  get.option_id = option;
  get.op = iommuOptionOp.GET;
  get.object_id = object;
  ioctl(iommufd, iommufdRequest.OPTION, bytesOf(get), {
    ...context,
    request: () => `IOMMU_OPTION GET ${valueName(iommuOption, option)} of ${object}`,
  });
  return get.val64;
}

/** IOMMU_OPTION with SET; see `getIommuOption`. @throws VfioError EPERM for RLIMIT_MODE without CAP_SYS_RESOURCE */
export function setIommuOption(
  iommufd: number,
  option: number,
  object: number,
  value: bigint,
  context: IoctlContext = {},
): void {
  const set = create(IommuOption);
  set.size = IommuOption.baseSize;
  set.option_id = option;
  set.op = iommuOptionOp.SET;
  set.object_id = object;
  set.val64 = value;
  ioctl(iommufd, iommufdRequest.OPTION, bytesOf(set), {
    ...context,
    request: () => `IOMMU_OPTION SET ${valueName(iommuOption, option)} of ${object} to ${value}`,
  });
}

const noDevice = 19;

function vfioIoas(op: number, ioas: number): Uint8Array {
  const ask = create(IommuVfioIoas);
  ask.size = IommuVfioIoas.baseSize;
  ask.op = op;
  ask.ioas_id = ioas;
  return bytesOf(ask);
}

const ioasOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);

/** IOMMU_VFIO_IOAS with GET: the IOAS behind an iommufd that is used as a container; undefined where there is none, or it is no iommufd. */
export function getVfioIoas(iommufd: number): number | undefined {
  const bytes = vfioIoas(iommuVfioIoasOp.GET, 0);
  return ioctlOrErrno(iommufd, iommufdRequest.VFIO_IOAS, bytes) < 0 ? undefined : ioasOf(bytes);
}

/** IOMMU_VFIO_IOAS with SET: groups that join the iommufd as a container will use this IOAS. */
export function setVfioIoas(iommufd: number, ioas: number, context: IoctlContext = {}): void {
  ioctl(iommufd, iommufdRequest.VFIO_IOAS, vfioIoas(iommuVfioIoasOp.SET, ioas), {
    ...context,
    request: `IOMMU_VFIO_IOAS SET ${ioas}`,
  });
}

/** IOMMU_VFIO_IOAS with CLEAR: the next group makes a new one. */
export function clearVfioIoas(iommufd: number, context: IoctlContext = {}): void {
  ioctl(iommufd, iommufdRequest.VFIO_IOAS, vfioIoas(iommuVfioIoasOp.CLEAR, 0), {
    ...context,
    request: "IOMMU_VFIO_IOAS CLEAR",
  });
}

/** Whether a descriptor is an iommufd's: a kernel may give one out as /dev/vfio/vfio too. */
export function answersAsIommufd(fd: number): boolean {
  // Without an IOAS an iommufd says ENODEV; a container of type 1 knows no such request.
  const result = ioctlOrErrno(fd, iommufdRequest.VFIO_IOAS, vfioIoas(iommuVfioIoasOp.GET, 0));
  return result >= 0 || result === -noDevice;
}
