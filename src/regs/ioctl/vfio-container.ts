// linux/vfio.h: containers, groups, and the header that capability chains share.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `VFIO_API_VERSION`: what GET_API_VERSION must return. */
export const vfioApi = constants("VFIO_API_", { VERSION: 0 });

/** `VFIO_*_IOMMU`: what SET_IOMMU takes and CHECK_EXTENSION asks for. 6 (nesting) was never usable and is reserved. */
export const vfioIommuType = constants(
  "VFIO_",
  { TYPE1: 1, SPAPR_TCE: 2, TYPE1v2: 3, DMA_CC: 4, SPAPR_TCE_v2: 7, NOIOMMU: 8 },
  "_IOMMU",
);

/** `VFIO_*`: further extensions for CHECK_EXTENSION. */
export const vfioExtension = constants("VFIO_", { EEH: 5, UNMAP_ALL: 9, UPDATE_VADDR: 10 });

/** `struct vfio_group_status`, of GROUP_GET_STATUS. */
export const VfioGroupStatus = new Struct("vfio_group_status")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioGroupFlag
  .compile();
export type VfioGroupStatus = Fields<typeof VfioGroupStatus>;

/** `VFIO_GROUP_FLAGS_*`: bits to test one by one; a viable group may have its container set or not. */
export const vfioGroupFlag = constants("VFIO_GROUP_FLAGS_", { VIABLE: 1, CONTAINER_SET: 2 });

/**
 * `struct vfio_info_cap_header`: one capability in the chain that the INFO requests return when the CAPS flag is set.
 * `next` and `cap_offset` count bytes from the start of the INFO struct; 0 ends the chain.
 */
export const VfioInfoCapHeader = new Struct("vfio_info_cap_header")
  .UInt16LE("id")
  .UInt16LE("version")
  .UInt32LE("next")
  .compile();
export type VfioInfoCapHeader = Fields<typeof VfioInfoCapHeader>;
