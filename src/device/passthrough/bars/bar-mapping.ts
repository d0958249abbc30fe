import type { RegionArea, RegionInfo } from "../../../regs/vfio/regions.ts";
import type { DeviceBackend, RegionMapping } from "../../seam/backend.ts";
import { Unreleased } from "../../../ffi/unreleased.ts";
import { barName } from "../../pci/bars.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { Platform } from "../../seam/platform.ts";
import { hex, intersects, type Range } from "../../address/range.ts";

/** An area of a BAR that the guest reaches without the VMM. */
export interface MappedArea extends RegionArea {
  readonly slot: number;
  readonly gpa: number;
  readonly hva: number;
  /** Peers reach it at the same address through the IOMMU. */
  readonly peer: boolean;
}

export interface BarMappingParts {
  readonly backend: DeviceBackend;
  readonly platform: Platform;
  readonly info: RegionInfo;
  /** To be mapped, page-aligned. */
  readonly areas: readonly RegionArea[];
  /** Whether peer devices are to reach them too. */
  readonly peers: boolean;
  readonly report: ReportEvent;
}

/** What an area that was withdrawn still has of the platform, because that could not take it back. */
interface Leftover {
  readonly area: RegionArea;
  readonly gpa: number;
  /** A memory slot; undefined for a peer mapping. */
  readonly slot: number | undefined;
}

/**
 * Shows the mappable areas of one BAR to the guest and to peer devices. The host mapping is made when first needed and
 * kept until the end: a BAR that moves costs memory slots alone. It goes last of all: host memory under a slot or a peer
 * mapping that cannot be taken back stays mapped, since the guest reaches whatever the host puts there next.
 */
export class BarMapping {
  readonly #backend: DeviceBackend;
  readonly #platform: Platform;
  readonly #report: ReportEvent;
  readonly #region: RegionInfo;
  readonly #areas: readonly RegionArea[];
  readonly #peers: boolean;
  readonly #host = new Map<RegionArea, RegionMapping>();
  /** Areas that the host refuses to map: asked once, then trapped. */
  readonly #refused = new Set<RegionArea>();
  #mapped: (MappedArea & { readonly area: RegionArea })[] = [];
  readonly #left: Unreleased<Leftover>;

  constructor({ backend, platform, info, areas, peers, report }: BarMappingParts) {
    this.#backend = backend;
    this.#platform = platform;
    this.#region = info;
    this.#areas = areas;
    this.#peers = peers;
    this.#report = report;
    this.#left = new Unreleased<Leftover>(
      ({ area, gpa, slot }) =>
        slot === undefined ? platform.dma!.unmap(gpa, area.size) : platform.memory.remove(slot),
      ({ area, gpa, slot }, cause) => {
        const what = slot === undefined ? "peer mapping" : "memory slot";
        report("teardown", `${this.#name(area)}: its ${what} at ${hex(gpa)} cannot be taken back`, cause);
      },
    );
  }

  /** Whether writes reach the memory of its areas. */
  get isWritable(): boolean {
    return this.#region.writable;
  }

  get mapped(): readonly MappedArea[] {
    return this.#mapped.map(({ area: _, ...mapped }) => mapped);
  }

  /** Whether something that was withdrawn could not be taken back, anywhere. */
  get isReached(): boolean {
    return this.#left.size > 0;
  }

  /** Whether something that was withdrawn, and could not be taken back, is still in a range of guest memory. */
  hasLeft(range: Range): boolean {
    return this.#left.some(({ gpa, area }) => intersects(range, { base: gpa, size: area.size }));
  }

  /**
   * Maps every area at `base` in guest memory. What cannot be mapped is trapped instead, and reported. What an area left
   * at this very place is what it needs there, and is its own again.
   */
  show(base: number): void {
    for (const area of this.#areas) {
      const gpa = base + area.offset;
      const what = this.#name(area);
      const trapped = (why: string, cause?: unknown): void =>
        this.#report("area-trapped", `${what} ${why} and stays trapped`, cause);
      const { pageSize } = this.#platform;
      if (gpa % pageSize !== 0) {
        trapped(`would be at ${hex(gpa)}, which is not aligned to pages of ${pageSize} bytes,`);
        continue;
      }
      const kept = [...this.#left].filter((left) => left.area === area && left.gpa === gpa);
      if (kept.length === 0 && this.hasLeft({ base: gpa, size: area.size })) {
        trapped(`would be over a memory slot or peer mapping that could not be taken back,`);
        continue;
      }
      const mapping = this.#hostMapping(area, trapped);
      if (!mapping) continue;
      const { hva } = mapping;
      const readOnly = !this.#region.writable;
      let slot = kept.find((left) => left.slot !== undefined)?.slot;
      try {
        slot ??= this.#platform.memory.add({ gpa, size: area.size, hva, readOnly });
      } catch (cause) {
        trapped("gets no memory slot", cause);
        continue;
      }
      for (const left of kept) this.#left.delete(left);
      const peer =
        kept.some((left) => left.slot === undefined) ||
        this.#mapPeer(gpa, area.size, mapping, readOnly, what);
      this.#mapped.push({ ...area, area, slot, gpa, hva, peer });
    }
  }

  #hostMapping(area: RegionArea, trapped: (why: string, cause: unknown) => void): RegionMapping | undefined {
    const known = this.#host.get(area);
    if (known || this.#refused.has(area)) return known;
    try {
      const mapping = this.#backend.map(this.#region.index, area);
      this.#host.set(area, mapping);
      return mapping;
    } catch (cause) {
      this.#refused.add(area);
      trapped("cannot be mapped", cause);
      return undefined;
    }
  }

  /** Never fatal: without it peers cannot reach this BAR, and everything else works. */
  #mapPeer(iova: number, size: number, mapping: RegionMapping, readOnly: boolean, what: string): boolean {
    const { dma } = this.#platform;
    if (!dma || !this.#peers) return false;
    try {
      const { hva, dmaBuf } = mapping;
      const file = dmaBuf === undefined ? undefined : { fd: dmaBuf, offset: 0 };
      dma.map({ iova, size, hva, readable: true, writable: !readOnly, deviceMemory: true, file });
      return true;
    } catch (cause) {
      this.#report("peer-unavailable", `${what} is out of reach of other devices`, cause);
      return false;
    }
  }

  /** Takes all areas away from peers, then from the guest. What cannot be taken is left for `settle`. */
  withdraw(): void {
    // The newest goes first: peers before the guest.
    for (const { area, gpa, slot, peer } of this.#mapped) {
      this.#left.add({ area, gpa, slot });
      if (peer) this.#left.add({ area, gpa, slot: undefined });
    }
    this.#mapped = [];
    this.settle();
  }

  /** Tries again to take back what is left. */
  settle(): void {
    this.#left.settle();
  }

  #name({ offset, size }: RegionArea): string {
    return `${barName(this.#region.index)} ${hex(offset)}+${hex(size)}`;
  }

  /**
   * Withdraws, then unmaps the device's memory from this process; not that under a slot or peer mapping that is left, which
   * is reported. Called again, it tries again.
   */
  [Symbol.dispose](): void {
    this.withdraw();
    for (const [area, mapping] of this.#host) {
      if (this.#left.some((left) => left.area === area)) {
        this.#report(
          "teardown",
          `${this.#name(area)} stays mapped in this process: the guest or a peer still reaches it`,
        );
        continue;
      }
      try {
        mapping[Symbol.dispose]();
        this.#host.delete(area);
      } catch (cause) {
        this.#report("teardown", `${this.#name(area)}: its host mapping cannot be taken back`, cause);
      }
    }
  }
}
