// A recorded device in memory. The shapes of regions and interrupts are those of the backend seam, one floor
// up, so that a recording hands them on as they are.

/** The format that this version writes, and the newest that it reads. */
export const imageFormat = 1;

/** Bytes that an image file may have. */
export const maxImageBytes = 64 * 2 ** 20;
/** Bytes of region contents that one image may hold. */
export const maxContentBytes = 32 * 2 ** 20;

/** Sizes that a recorded config space may have: the header alone, conventional PCI, PCI Express. In bytes. */
export const configSizes: readonly number[] = [64, 256, 4096];

/** Bytes of a region or of config space, from its start. */
export interface ImageArea {
  readonly offset: number;
  readonly size: number;
}

/** Bits of a dword of config space: a `mask` of 32 bits, 1 to 0xffffffff, little-endian from byte `offset`, a multiple of 4. */
export interface ConfigBits {
  readonly offset: number;
  readonly mask: number;
}

/** Recorded bytes of a region; what no block covers is unknown, and reads 0. */
export interface ContentBlock {
  /** Byte offset in the region. */
  readonly offset: number;
  /** At least one byte. */
  readonly bytes: Uint8Array;
}

/** A region as VFIO_DEVICE_GET_REGION_INFO told it, and what was recorded of its bytes. */
export interface ImageRegion {
  /** 0 to 5: BARs, 6: ROM, 7: config space, 8: VGA, from 9: device-specific (linux/vfio.h). */
  readonly index: number;
  /** In bytes; 0 where the region is there but nothing tells its size, as in an lspci dump. */
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly mappable: boolean;
  /** The areas that can be mapped, where not the whole region can. In order, apart from each other. */
  readonly sparse?: readonly ImageArea[] | undefined;
  /** The pages that hold the MSI-X table may be mapped too. */
  readonly msixMappable: boolean;
  /** Of a device-specific region. */
  readonly type?: { readonly type: number; readonly subtype: number } | undefined;
  /** In order, apart from each other. */
  readonly contents?: readonly ContentBlock[] | undefined;
}

/** An interrupt index as VFIO_DEVICE_GET_IRQ_INFO told it. */
export interface ImageIrq {
  /** 0: INTx, 1: MSI, 2: MSI-X, 3: errors, 4: requests to release the device (linux/vfio.h). */
  readonly index: number;
  /** Vectors. */
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
  readonly automasked: boolean;
  readonly noResize: boolean;
}

/** Where a recording comes from: for people, nothing is decided by it. */
export interface ImageHost {
  /** As `Linux 6.12.95`. */
  readonly kernel?: string | undefined;
  /** As `Intel VT-d`. */
  readonly iommu?: string | undefined;
  /** The driver that the host used. */
  readonly driver?: string | undefined;
  readonly notes?: readonly string[] | undefined;
}

/** A recorded device. */
export interface DeviceImage {
  readonly version: typeof imageFormat;
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** 64, 256 or 4096 bytes, from offset 0. */
  readonly config: Uint8Array;
  /** By index, in order; one that the device does not have is not listed. */
  readonly regions: readonly ImageRegion[];
  /** By index, in order; one that the device does not have is not listed. */
  readonly irqs: readonly ImageIrq[];
  /**
   * Bits of config space that the specification lets software write, but that this device keeps. In order, each offset
   * once. Seen when a guest wrote them and read back something else.
   */
  readonly readOnlyBits?: readonly ConfigBits[] | undefined;
  /**
   * Bytes of config space that no register map describes, but that this device stores as they are written, and keeps when
   * it is reset. In order, apart from each other, inside of `config`.
   */
  readonly writable?: readonly ImageArea[] | undefined;
  /** Bits of config space that the specification lets a reset clear, but that this device keeps. As `readOnlyBits`. */
  readonly keptByReset?: readonly ConfigBits[] | undefined;
  /** Whether the host could reset the function. */
  readonly resettable: boolean;
  readonly host: ImageHost;
}

const regionNames: readonly string[] = [
  "BAR0",
  "BAR1",
  "BAR2",
  "BAR3",
  "BAR4",
  "BAR5",
  "ROM",
  "CONFIG",
  "VGA",
];
const irqNames: readonly string[] = ["INTX", "MSI", "MSIX", "ERR", "REQ"];
const irqLimits: readonly number[] = [1, 32, 2048, 1, 1];

/** Indexes above this are refused: no device has so many regions or interrupt indexes. */
export const maxIndex = 255;

/** `BAR0` to `BAR5`, `ROM`, `CONFIG`, `VGA`; `REGION9` and up for device-specific ones. */
export const regionName = (index: number): string => regionNames[index] ?? `REGION${index}`;
/** `INTX`, `MSI`, `MSIX`, `ERR`, `REQ`; `IRQ5` and up for device-specific ones. */
export const irqName = (index: number): string => irqNames[index] ?? `IRQ${index}`;
/** The most vectors that an interrupt index can have. */
export const irqLimit = (index: number): number => irqLimits[index] ?? 65535;

/** The regions of an image with no gap, from index 0 to at least VGA: an absent one has size 0 and no flags. */
export function regionsByIndex(image: DeviceImage): ImageRegion[] {
  const count = Math.max(regionNames.length, ...image.regions.map(({ index }) => index + 1));
  return Array.from(
    { length: count },
    (_, index) =>
      image.regions.find((region) => region.index === index) ?? {
        index,
        size: 0,
        readable: false,
        writable: false,
        mappable: false,
        msixMappable: false,
      },
  );
}

/** An interrupt index that a device has not: no vectors, no flags. */
export const absentIrq = (index: number): ImageIrq => ({
  index,
  count: 0,
  eventfd: false,
  maskable: false,
  automasked: false,
  noResize: false,
});

/** The interrupt indexes of an image with no gap, from INTx to at least REQ: an absent one has count 0 and no flags. */
export function irqsByIndex(image: DeviceImage): ImageIrq[] {
  const count = Math.max(irqNames.length, ...image.irqs.map(({ index }) => index + 1));
  return Array.from(
    { length: count },
    (_, index) => image.irqs.find((irq) => irq.index === index) ?? absentIrq(index),
  );
}
