// The seam: what every source of a device implements. A kernel device, a vfio-user server and a recording
// differ below it; the passthrough model above it does not know which one it has.

import type { IrqInfo, IrqRequest } from "../../regs/vfio/irqs.ts";
import type { RegionArea, RegionInfo } from "../../regs/vfio/regions.ts";

/** Region memory mapped into this process. Whoever asked for it disposes of it. */
export interface RegionMapping extends Disposable {
  /** Host virtual address. */
  readonly hva: number;
  /** In bytes. */
  readonly size: number;
  /** A descriptor of the same memory as a dma-buf, which goes with the mapping; undefined where the kernel makes none. */
  readonly dmaBuf?: number | undefined;
}

/** What a device can be asked by VFIO_DEVICE_FEATURE; undefined where it does not know the feature. */
export interface FeatureSupport {
  /** Whether it can be read. */
  readonly get: boolean;
  /** Whether it can be set. */
  readonly set: boolean;
}

/** What a device keeps inside of itself, made for JSON. */
export interface OwnState {
  /** What there is now. */
  save(): unknown;
  /** Takes on what `save` gave. Nothing of it is trusted. @throws RangeError for what does not fit */
  restore(state: unknown): void;
}

/**
 * A source of a PCI device. Every call returns a result or throws a `VfioError`; none does half of its work in silence.
 * The descriptions are read once, when the backend is made, and never change.
 */
export interface DeviceBackend extends Disposable {
  /** For messages: the BDF of a kernel device, the name of a recording. */
  readonly name: string;
  /** Whether `reset` can work. */
  readonly resettable: boolean;
  /** By region index, with no gap: an absent region has size 0. */
  readonly regions: readonly RegionInfo[];
  /** By interrupt index, with no gap: an absent one has count 0. */
  readonly irqs: readonly IrqInfo[];
  /** Fills `data` from byte `offset` of a region. @throws VfioError; then `data` holds nothing useful */
  read(region: number, offset: number, data: Uint8Array): void;
  /** Writes all of `data` at byte `offset` of a region. @throws VfioError */
  write(region: number, offset: number, data: Uint8Array): void;
  /** Maps an area, page-aligned, of a mappable region. @throws VfioError */
  map(region: number, area: RegionArea): RegionMapping;
  /**
   * A file of a mappable region's memory, for other processes to map: `offset` in bytes is where the region begins in it. The
   * descriptor stays the backend's. Absent, or undefined, where there is none: clients of a server then reach the region by
   * `read` and `write` alone.
   */
  regionFile?(region: number): { readonly fd: number; readonly offset: number } | undefined;
  /** Eventfds stay the caller's, who may close them afterwards: the device takes its own. @throws VfioError */
  setIrqs(request: IrqRequest): void;
  /** Resets the function; config space comes back as the host had it. @throws VfioError where it cannot */
  reset(): void;
  /**
   * State that the device keeps inside of itself, of devices that can give it; a snapshot of the device carries it.
   */
  readonly ownState?: OwnState | undefined;
  /** Asks for a VFIO_DEVICE_FEATURE by number, without using it. */
  probeFeature(feature: number): FeatureSupport | undefined;
}
