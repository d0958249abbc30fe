// VFIO_MIG_GET_PRECOPY_INFO (linux/vfio.h), on the data file of a migration.
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { VfioPrecopyInfo } from "../regs/ioctl/vfio-migration.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { exact, ioctl, type IoctlContext } from "./ioctl.ts";

/** Estimates, in bytes. */
export interface PrecopyInfo {
  /** Of `vfioPrecopyFlag`. */
  readonly flags: number;
  /** What is still to come of the data that is to be read first. */
  readonly initialBytes: number;
  /** What has changed since it was read. */
  readonly dirtyBytes: number;
}

/** VFIO_MIG_GET_PRECOPY_INFO. @param file the data file that MIG_DEVICE_STATE gave @throws VfioError EINVAL outside of PRE_COPY */
export function getPrecopyInfo(file: number, context: IoctlContext = {}): PrecopyInfo {
  const info = create(VfioPrecopyInfo);
  info.argsz = VfioPrecopyInfo.baseSize;
  ioctl(file, vfioRequest.MIG_GET_PRECOPY_INFO, bytesOf(info), {
    ...context,
    request: "VFIO_MIG_GET_PRECOPY_INFO",
  });
  return {
    flags: info.flags,
    initialBytes: exact(info.initial_bytes, "the initial bytes"),
    dirtyBytes: exact(info.dirty_bytes, "the dirty bytes"),
  };
}
