// linux/vfio.h: displays of mediated devices.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct vfio_region_gfx_edid`: the start of the EDID region, read and written like any region. */
export const VfioRegionGfxEdid = new Struct("vfio_region_gfx_edid")
  .UInt32LE("edid_offset") // bytes from the region's start
  .UInt32LE("edid_max_size") // bytes
  .UInt32LE("edid_size") // bytes
  .UInt32LE("max_xres") // pixels; 0 = no limit
  .UInt32LE("max_yres")
  .UInt32LE("link_state") // vfioGfxLinkState
  .compile();
export type VfioRegionGfxEdid = Fields<typeof VfioRegionGfxEdid>;

/** `VFIO_DEVICE_GFX_LINK_STATE_*`. */
export const vfioGfxLinkState = constants("VFIO_DEVICE_GFX_LINK_STATE_", { UP: 1, DOWN: 2 });

/** `struct vfio_device_gfx_plane_info`, of DEVICE_QUERY_GFX_PLANE. Kernels before 6.6 know 60 bytes and no `reserved`. */
export const VfioDeviceGfxPlaneInfo = new Struct("vfio_device_gfx_plane_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioGfxPlaneType
  .UInt32LE("drm_plane_type") // in: DRM_PLANE_TYPE_*
  .UInt32LE("drm_format")
  .BigUInt64LE("drm_format_mod")
  .UInt32LE("width") // pixels
  .UInt32LE("height")
  .UInt32LE("stride") // bytes a line
  .UInt32LE("size") // bytes
  .UInt32LE("x_pos")
  .UInt32LE("y_pos")
  .UInt32LE("x_hot")
  .UInt32LE("y_hot")
  .UInt32LE(["region_index", "dmabuf_id"])
  .UInt32LE("reserved")
  .compile();
export type VfioDeviceGfxPlaneInfo = Fields<typeof VfioDeviceGfxPlaneInfo>;

/** `VFIO_GFX_PLANE_TYPE_*`. */
export const vfioGfxPlaneType = constants("VFIO_GFX_PLANE_TYPE_", { PROBE: 1, DMABUF: 2, REGION: 4 });
