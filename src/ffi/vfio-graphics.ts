// Displays of mediated devices (linux/vfio.h).
import { checked, uint32 } from "../regs/ioctl/integer.ts";
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { VfioDeviceGfxPlaneInfo } from "../regs/ioctl/vfio-graphics.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";

/**
 * VFIO_DEVICE_QUERY_GFX_PLANE.
 * @param flags of `vfioGfxPlaneType` @param plane DRM_PLANE_TYPE_*: 0 overlay, 1 primary, 2 cursor
 * @returns the plane: of which region, or behind which dma-buf id, its pixels are
 */
export function queryGfxPlane(
  device: number,
  flags: number,
  plane: number,
  context: IoctlContext = {},
): VfioDeviceGfxPlaneInfo {
  const info = create(VfioDeviceGfxPlaneInfo);
  info.argsz = VfioDeviceGfxPlaneInfo.baseSize;
  info.flags = flags;
  info.drm_plane_type = plane;
  ioctl(device, vfioRequest.DEVICE_QUERY_GFX_PLANE, bytesOf(info), {
    ...context,
    request: "VFIO_DEVICE_QUERY_GFX_PLANE",
  });
  return info;
}

/** VFIO_DEVICE_GET_GFX_DMABUF. @param id `dmabuf_id` of a plane @returns a descriptor that the caller closes */
export function getGfxDmabuf(device: number, id: number, context: IoctlContext = {}): number {
  const argument = new Uint8Array(new ArrayBuffer(4));
  new DataView(argument.buffer).setUint32(0, checked(id, uint32("dmabuf_id")), true);
  return ioctl(device, vfioRequest.DEVICE_GET_GFX_DMABUF, argument, {
    ...context,
    request: `VFIO_DEVICE_GET_GFX_DMABUF ${id}`,
  });
}
