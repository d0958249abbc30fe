// A recorded device in memory. Its regions and interrupts are described in VFIO's words, as any device's are.
import { absentIrq, irqCount, type IrqInfo } from "../regs/vfio/irqs.ts";
import { absentRegion, regionCount, type RegionArea, type RegionInfo } from "../regs/vfio/regions.ts";

/** The format of an image of which all is known. */
export const imageFormat = 1;
/** The format of an image that says what of it is unknown; the newest that this version reads. */
export const newestFormat = 2;

/** Bytes that an image file may have. */
export const maxImageBytes = 64 * 2 ** 20;
/** Bytes of region contents that one image may hold. */
export const maxContentBytes = 32 * 2 ** 20;

/** Sizes that a recorded config space may have: the header alone, conventional PCI, PCI Express. In bytes. */
export const configSizes: readonly number[] = [64, 256, 4096];

/** Bytes of a region or of config space, from its start. */
export type ImageArea = RegionArea;

/** Bits of a dword of config space: a `mask` of 32 bits, 1 to 0xffffffff, little-endian from byte `offset`, a multiple of 4. */
export interface ConfigBits {
  /** Of the dword in config space, a multiple of 4. */
  readonly offset: number;
  /** Its bits, 1 to 0xffffffff. */
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
export interface ImageRegion extends RegionInfo {
  /** In order, apart from each other. */
  readonly contents?: readonly ContentBlock[] | undefined;
}

/** An interrupt index as VFIO_DEVICE_GET_IRQ_INFO told it. */
export type ImageIrq = IrqInfo;

/** Where a recording comes from: for people, nothing is decided by it. */
export interface ImageHost {
  /** As `Linux 6.12.95`. */
  readonly kernel?: string | undefined;
  /** As `Intel VT-d`. */
  readonly iommu?: string | undefined;
  /** The driver that the host used. */
  readonly driver?: string | undefined;
  /** What a reader should know, a sentence each. */
  readonly notes?: readonly string[] | undefined;
}

/** What a recording does not tell, because nobody could read it. */
export interface ImageUnknowns {
  /** Bytes inside of `config`, which are 0 there. In order, apart from each other. */
  readonly config?: readonly ImageArea[] | undefined;
  /** Interrupt indexes that the device may have or not. In order; none of them is one of `irqs`. */
  readonly irqs?: readonly number[] | undefined;
}

/** A recorded device. */
export interface DeviceImage {
  /** 2 where there is `unknown`. */
  readonly version: typeof imageFormat | typeof newestFormat;
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
  /** What of it nobody could read; undefined: nothing. */
  readonly unknown?: ImageUnknowns | undefined;
  /** Whether the host could reset the function. */
  readonly resettable: boolean;
  /** Where it was recorded. */
  readonly host: ImageHost;
}

/**
 * Config space as far as it is known from its start on without a gap: what is behind it is no register's value. The gaps
 * before are 0 in it.
 */
export function knownConfig(config: Uint8Array, unknown: readonly ImageArea[] = []): Uint8Array {
  const last = unknown.at(-1);
  return last && last.offset + last.size === config.length ? config.subarray(0, last.offset) : config;
}

/** The regions of an image with no gap, from index 0 to at least VGA: an absent one has size 0 and no flags. */
export function regionsByIndex(image: DeviceImage): ImageRegion[] {
  const count = Math.max(regionCount, ...image.regions.map(({ index }) => index + 1));
  return Array.from(
    { length: count },
    (_, index) => image.regions.find((region) => region.index === index) ?? absentRegion(index),
  );
}

/** The interrupt indexes of an image with no gap, from INTx to at least REQ: an absent one has count 0 and no flags. */
export function irqsByIndex(image: DeviceImage): ImageIrq[] {
  const count = Math.max(irqCount, ...image.irqs.map(({ index }) => index + 1));
  return Array.from(
    { length: count },
    (_, index) => image.irqs.find((irq) => irq.index === index) ?? absentIrq(index),
  );
}
