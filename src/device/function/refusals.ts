// What vfio-pci answers a request that it refuses, as errors.
import { VfioError } from "../../ffi/errors.ts";
import { regionName } from "../../regs/vfio/regions.ts";
import { hex } from "../../regs/hex-text.ts";

/** @param device name for messages @param code the kernel's errno name */
export function ioctlFails(device: string, request: string, code: string): VfioError {
  const hint = request === "VFIO_DEVICE_RESET" ? "The function cannot be reset alone." : undefined;
  const message = `${device}: ${request} fails with ${code}`;
  return new VfioError(message, { code, syscall: "ioctl", request, device, hint });
}

/** An access to a region, or a mapping of it. Offset and size in bytes. */
export const refusedAccess = (
  device: string,
  syscall: string,
  region: number,
  offset: number,
  size: number,
  code: string,
  why: string,
): VfioError =>
  new VfioError(
    `${device}: ${syscall} of ${size} at ${regionName(region)} ${hex(offset)} fails with ${code}: ${why}`,
    { code, syscall, device },
  );
