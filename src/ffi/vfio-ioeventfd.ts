// VFIO_DEVICE_IOEVENTFD (linux/vfio.h): a write to the device for each signal of an eventfd.
import { checked, uint32, type IntegerRange } from "../regs/ioctl/integer.ts";
import { bytesOf, create, wide } from "../regs/ioctl/struct.ts";
import { VfioDeviceIoeventfd, vfioDeviceIoeventfdFlag } from "../regs/ioctl/vfio-device.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

const widthRange: IntegerRange = { ...uint32("the width of a write"), min: 1, max: 8 };

/**
 * VFIO_DEVICE_IOEVENTFD.
 * @param width of the write, in bytes: 1, 2, 4 or 8
 * @param offset in the device file, bytes: the region's offset and that in the region
 * @param eventfd -1 takes it back
 */
export function setIoeventfd(
  device: number,
  width: 1 | 2 | 4 | 8,
  offset: number,
  data: bigint,
  eventfd: number,
  context: IoctlContext = {},
): void {
  const flags = vfioDeviceIoeventfdFlag[`${(8 * checked(width, widthRange)) as 8 | 16 | 32 | 64}`];
  if (flags === undefined) throw new RangeError(`the width of a write must be 1, 2, 4 or 8, not ${width}`);
  const set = create(VfioDeviceIoeventfd);
  set.argsz = VfioDeviceIoeventfd.baseSize;
  set.flags = flags;
  set.offset = wide(offset);
  set.data = data;
  set.fd = eventfd;
  ioctl(device, vfioRequest.DEVICE_IOEVENTFD, bytesOf(set), {
    ...context,
    request: () =>
      `VFIO_DEVICE_IOEVENTFD ${8 * width} offset ${hex(offset)} data ${hex(data)} eventfd ${eventfd}`,
  });
}
