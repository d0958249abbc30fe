// linux/vfio.h: region information and its capabilities.
import { irqCount } from "../vfio/irqs.ts";
import { RegionIndex, regionCount } from "../vfio/regions.ts";
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";
import { VfioInfoCapHeader } from "./vfio-container.ts";

/** `struct vfio_region_info`, of DEVICE_GET_REGION_INFO. */
export const VfioRegionInfo = new Struct("vfio_region_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioRegionFlag
  .UInt32LE("index") // in
  .UInt32LE("cap_offset")
  .BigUInt64LE("size") // bytes; 0 = not there
  .BigUInt64LE("offset") // in the device file, bytes
  .compile();
export type VfioRegionInfo = Fields<typeof VfioRegionInfo>;

/** `VFIO_REGION_INFO_FLAG_*`. */
export const vfioRegionFlag = constants("VFIO_REGION_INFO_FLAG_", { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 });

/** `VFIO_PCI_*_REGION_INDEX`: region indexes of vfio-pci; device specific ones follow from 9 on. */
export const vfioPciRegion = constants(
  "VFIO_PCI_",
  {
    BAR0: RegionIndex.bar0,
    BAR1: RegionIndex.bar1,
    BAR2: RegionIndex.bar2,
    BAR3: RegionIndex.bar3,
    BAR4: RegionIndex.bar4,
    BAR5: RegionIndex.bar5,
    ROM: RegionIndex.rom,
    CONFIG: RegionIndex.config,
    VGA: RegionIndex.vga,
  },
  "_REGION_INDEX",
);

/** `VFIO_PCI_NUM_*`: how many indexes vfio-pci fixes; a device may report more regions, never fewer. */
export const vfioPciCount = constants("VFIO_PCI_NUM_", { REGIONS: regionCount, IRQS: irqCount });

/** `VFIO_REGION_INFO_CAP_*`: ids in a region's capability chain. */
export const vfioRegionCapability = constants("VFIO_REGION_INFO_CAP_", {
  SPARSE_MMAP: 1,
  TYPE: 2,
  MSIX_MAPPABLE: 3, // the header is all of it
  NVLINK2_SSATGT: 4,
  NVLINK2_LNKSPD: 5,
});

/** `struct vfio_region_sparse_mmap_area`: bytes from the region's start. */
export const VfioRegionSparseMmapArea = new Struct("vfio_region_sparse_mmap_area")
  .BigUInt64LE("offset")
  .BigUInt64LE("size")
  .compile();
export type VfioRegionSparseMmapArea = Fields<typeof VfioRegionSparseMmapArea>;

/** `struct vfio_region_info_cap_sparse_mmap`: only these areas may be mapped. Tail: 16 bytes an area. */
export const VfioRegionInfoCapSparseMmap = new Struct("vfio_region_info_cap_sparse_mmap")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("nr_areas")
  .UInt32LE("reserved")
  .StructArray("areas", VfioRegionSparseMmapArea)
  .compile();
export type VfioRegionInfoCapSparseMmap = Fields<typeof VfioRegionInfoCapSparseMmap>;

/** `struct vfio_region_info_cap_type`: what a device specific region is. */
export const VfioRegionInfoCapType = new Struct("vfio_region_info_cap_type")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("type") // vfioRegionType, or PCI_VENDOR_TYPE + a vendor id
  .UInt32LE("subtype") // vfioRegionSubtype
  .compile();
export type VfioRegionInfoCapType = Fields<typeof VfioRegionInfoCapType>;

/** `VFIO_REGION_TYPE_*`. C has PCI_VENDOR_TYPE as a negative int; here it is the 32 bits of the field. */
export const vfioRegionType = constants("VFIO_REGION_TYPE_", {
  PCI_VENDOR_TYPE: 0x8000_0000,
  PCI_VENDOR_MASK: 0xffff,
  GFX: 1,
  CCW: 2,
  MIGRATION_DEPRECATED: 3,
});

/** `VFIO_REGION_SUBTYPE_*`: a number means what its type (or its PCI vendor) says. */
export const vfioRegionSubtype = constants("VFIO_REGION_SUBTYPE_", {
  INTEL_IGD_OPREGION: 1,
  INTEL_IGD_HOST_CFG: 2,
  INTEL_IGD_LPC_CFG: 3,
  NVIDIA_NVLINK2_RAM: 1,
  IBM_NVLINK2_ATSD: 1,
  GFX_EDID: 1,
  CCW_ASYNC_CMD: 1,
  CCW_SCHIB: 2,
  CCW_CRW: 3,
  MIGRATION_DEPRECATED: 1,
});

/** `struct vfio_region_info_cap_nvlink2_ssatgt`: `tgt` is the base of the short address window. */
export const VfioRegionInfoCapNvlink2Ssatgt = new Struct("vfio_region_info_cap_nvlink2_ssatgt")
  .Struct("header", VfioInfoCapHeader)
  .BigUInt64LE("tgt")
  .compile();
export type VfioRegionInfoCapNvlink2Ssatgt = Fields<typeof VfioRegionInfoCapNvlink2Ssatgt>;

/** `struct vfio_region_info_cap_nvlink2_lnkspd`. */
export const VfioRegionInfoCapNvlink2Lnkspd = new Struct("vfio_region_info_cap_nvlink2_lnkspd")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("link_speed")
  .UInt32LE("__pad")
  .compile();
export type VfioRegionInfoCapNvlink2Lnkspd = Fields<typeof VfioRegionInfoCapNvlink2Lnkspd>;
