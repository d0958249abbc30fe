// What nobody read of a config space: partial rows of a dump leave gaps, and the bytes in them are unknown, not 0.
import type { RegionArea } from "./vfio/regions.ts";

/** Parts of a config space that nobody read: in order, apart from each other. Their bytes mean nothing. */
export type Gaps = readonly RegionArea[];

/** Nothing is missing. */
export const noGaps: Gaps = [];

/** Whether one of `size` bytes from byte `at` on is unknown. */
export function isUnknown(gaps: Gaps, at: number, size: number): boolean {
  for (const { offset, size: missing } of gaps) if (offset < at + size && at < offset + missing) return true;
  return false;
}

/** Bytes of which some are unknown. Whoever lays out a capability by one of those is found out. */
export class GappedView extends DataView<ArrayBufferLike> {
  /** What is unknown of the bytes. */
  readonly gaps: Gaps;
  /** An unknown byte was read. */
  missed = false;

  /** A view of a config space of which `gaps` are unknown. */
  constructor(config: Uint8Array, gaps: Gaps) {
    super(config.buffer, config.byteOffset, config.byteLength);
    this.gaps = gaps;
  }

  override getUint8(at: number): number {
    this.missed ||= isUnknown(this.gaps, at, 1);
    return super.getUint8(at);
  }

  override getUint16(at: number, littleEndian?: boolean): number {
    this.missed ||= isUnknown(this.gaps, at, 2);
    return super.getUint16(at, littleEndian);
  }

  override getUint32(at: number, littleEndian?: boolean): number {
    this.missed ||= isUnknown(this.gaps, at, 4);
    return super.getUint32(at, littleEndian);
  }
}

/** What is unknown of the bytes of a view. */
export const gapsOf = (view: DataView): Gaps => (view instanceof GappedView ? view.gaps : noGaps);
