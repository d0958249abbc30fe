import type { IrqRequest } from "../../regs/vfio/irqs.ts";
import type { RegionArea } from "../../regs/vfio/regions.ts";
import type { DeviceBackend, RegionMapping } from "./backend.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";

/** Calls that went through, by kind. */
export interface BackendCounts {
  /** Reads of config space. */
  configReads: number;
  /** Writes to config space. */
  configWrites: number;
  /** Reads of other regions. */
  regionReads: number;
  /** Writes to other regions. */
  regionWrites: number;
  /** Areas that were mapped. */
  maps: number;
  /** Interrupt requests. */
  setIrqs: number;
  /** Resets, those that failed too. */
  resets: number;
}

/** A backend around another that counts the calls: each is one system call, or one message, for a real device. */
export class CountedBackend implements DeviceBackend {
  readonly #inner: DeviceBackend;
  /** Calls so far, by what they were. */
  readonly counts: BackendCounts = {
    configReads: 0,
    configWrites: 0,
    regionReads: 0,
    regionWrites: 0,
    maps: 0,
    setIrqs: 0,
    resets: 0,
  };

  /** Counts what goes to `inner`, which is closed with it. */
  constructor(inner: DeviceBackend) {
    this.#inner = inner;
  }
  get name(): string {
    return this.#inner.name;
  }
  get resettable(): boolean {
    return this.#inner.resettable;
  }
  get regions(): DeviceBackend["regions"] {
    return this.#inner.regions;
  }
  get irqs(): DeviceBackend["irqs"] {
    return this.#inner.irqs;
  }
  get ownState(): DeviceBackend["ownState"] {
    return this.#inner.ownState;
  }
  read(region: number, offset: number, data: Uint8Array): void {
    if (region === RegionIndex.config) this.counts.configReads++;
    else this.counts.regionReads++;
    this.#inner.read(region, offset, data);
  }
  write(region: number, offset: number, data: Uint8Array): void {
    if (region === RegionIndex.config) this.counts.configWrites++;
    else this.counts.regionWrites++;
    this.#inner.write(region, offset, data);
  }
  map(region: number, area: RegionArea): RegionMapping {
    this.counts.maps++;
    return this.#inner.map(region, area);
  }
  setIrqs(request: IrqRequest): void {
    this.counts.setIrqs++;
    this.#inner.setIrqs(request);
  }
  reset(): void {
    this.counts.resets++;
    this.#inner.reset();
  }
  probeFeature(feature: number): ReturnType<DeviceBackend["probeFeature"]> {
    return this.#inner.probeFeature(feature);
  }
  /** Closes the backend within. */
  [Symbol.dispose](): void {
    this.#inner[Symbol.dispose]();
  }
}
