// Regions of a PCI device in VFIO's words (linux/vfio.h): what a kernel device, a vfio-user server and a recording all say.

/** Region indexes of a VFIO PCI device (VFIO_PCI_*_REGION_INDEX); device-specific ones follow from 9 on. */
export const RegionIndex = {
  bar0: 0,
  bar1: 1,
  bar2: 2,
  bar3: 3,
  bar4: 4,
  bar5: 5,
  rom: 6,
  config: 7,
  vga: 8,
} as const;

/** Bytes of a region, or of config space, from its start. */
export interface RegionArea {
  /** In bytes from the region's beginning. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/** One region of a device, as VFIO_DEVICE_GET_REGION_INFO tells it. */
export interface RegionInfo {
  /** Of `RegionIndex`, or device-specific. */
  readonly index: number;
  /** In bytes; 0 where the region is absent, or where nothing tells its size, as in an lspci dump. */
  readonly size: number;
  /** Whether `read` works. */
  readonly readable: boolean;
  /** Whether `write` works. */
  readonly writable: boolean;
  /** Whether areas of it can be mapped. */
  readonly mappable: boolean;
  /** The areas that can be mapped, where not the whole region can. In order, apart from each other. */
  readonly sparse?: readonly RegionArea[] | undefined;
  /** The pages that hold the MSI-X table may be mapped too. */
  readonly msixMappable: boolean;
  /** Of a device-specific region. */
  readonly type?: { readonly type: number; readonly subtype: number } | undefined;
}

/** Region and interrupt indexes above this are refused: no device has so many. */
export const maxIndex = 255;

const names: readonly string[] = Object.keys(RegionIndex).map((name) => name.toUpperCase());

/** How many regions every VFIO PCI device has, absent ones counted (VFIO_PCI_NUM_REGIONS). */
export const regionCount: number = names.length;

/** `BAR0` to `BAR5`, `ROM`, `CONFIG`, `VGA`; `REGION9` and up for device-specific ones. */
export const regionName = (index: number): string => names[index] ?? `REGION${index}`;

/** A region that a device does not have: no bytes, no flags. */
export const absentRegion = (index: number): RegionInfo => ({
  index,
  size: 0,
  readable: false,
  writable: false,
  mappable: false,
  msixMappable: false,
});
