import type { DeviceBackend, RegionArea, RegionMapping } from "./backend.ts";
import { barName } from "./bars.ts";
import type { ReportEvent } from "./events.ts";
import type { Platform } from "./platform.ts";

/** An area of a BAR that the guest reaches without the VMM. */
export interface MappedArea extends RegionArea {
  readonly slot: number;
  readonly gpa: number;
  readonly hva: number;
  /** Peers reach it at the same address through the IOMMU. */
  readonly peer: boolean;
}

/**
 * Shows the mappable areas of one BAR to the guest and to peer devices. The host mapping is made when first needed and
 * kept until the end: a BAR that moves costs memory slots alone.
 */
export class BarMapping {
  readonly #backend: DeviceBackend;
  readonly #platform: Platform;
  readonly #report: ReportEvent;
  readonly #region: number;
  readonly #areas: readonly RegionArea[];
  readonly #peers: boolean;
  readonly #host = new Map<RegionArea, RegionMapping>();
  /** Areas that the host refuses to map: asked once, then trapped. */
  readonly #refused = new Set<RegionArea>();
  #mapped: MappedArea[] = [];

  /** @param peers whether to map the BAR for peer devices too */
  constructor(
    backend: DeviceBackend,
    platform: Platform,
    region: number,
    areas: readonly RegionArea[],
    peers: boolean,
    report: ReportEvent,
  ) {
    this.#backend = backend;
    this.#platform = platform;
    this.#region = region;
    this.#areas = areas;
    this.#peers = peers;
    this.#report = report;
  }

  get mapped(): readonly MappedArea[] {
    return this.#mapped;
  }

  /** Maps every area at `base` in guest memory. What cannot be mapped is trapped instead, and reported. */
  show(base: number): void {
    for (const area of this.#areas) {
      const gpa = base + area.offset;
      const what = `${barName(this.#region)} 0x${area.offset.toString(16)}+0x${area.size.toString(16)}`;
      if (gpa % this.#platform.pageSize !== 0) continue;
      const host = this.#hostMapping(area, what);
      if (!host) continue;
      const { hva } = host;
      const readOnly = !this.#backend.regions[this.#region]!.writable;
      let slot: number;
      try {
        slot = this.#platform.memory.add({ gpa, size: area.size, hva, readOnly });
      } catch (cause) {
        this.#report("area-trapped", `${what} gets no memory slot and stays trapped`, cause);
        continue;
      }
      this.#mapped.push({
        ...area,
        slot,
        gpa,
        hva,
        peer: this.#mapPeer(gpa, area.size, hva, readOnly, what),
      });
    }
  }

  #hostMapping(area: RegionArea, what: string): RegionMapping | undefined {
    const known = this.#host.get(area);
    if (known || this.#refused.has(area)) return known;
    try {
      const mapping = this.#backend.map(this.#region, area);
      this.#host.set(area, mapping);
      return mapping;
    } catch (cause) {
      this.#refused.add(area);
      this.#report("area-trapped", `${what} cannot be mapped and stays trapped`, cause);
      return undefined;
    }
  }

  /** Never fatal: without it peers cannot reach this BAR, and everything else works. */
  #mapPeer(iova: number, size: number, hva: number, readOnly: boolean, what: string): boolean {
    const { dma } = this.#platform;
    if (!dma || !this.#peers) return false;
    try {
      dma.map({ iova, size, hva, readable: true, writable: !readOnly });
      return true;
    } catch (cause) {
      this.#report("peer-unavailable", `${what} is out of reach of other devices`, cause);
      return false;
    }
  }

  /** Takes all areas away from peers, then from the guest. */
  withdraw(): void {
    const mapped = this.#mapped;
    this.#mapped = [];
    for (const { peer, gpa, size, slot } of mapped) {
      if (peer) this.#try("peer mapping", () => this.#platform.dma!.unmap(gpa, size));
      this.#try("memory slot", () => this.#platform.memory.remove(slot));
    }
  }

  #try(what: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      this.#report("teardown", `${barName(this.#region)}: a ${what} cannot be taken back`, cause);
    }
  }

  /** Withdraws, then unmaps the device's memory from this process. */
  [Symbol.dispose](): void {
    this.withdraw();
    for (const mapping of this.#host.values()) this.#try("host mapping", () => mapping[Symbol.dispose]());
    this.#host.clear();
  }
}
