// The memory slots and peer mappings of one BAR: made, moved and withdrawn as bar-placement.ts says.
import type { RegionArea, RegionInfo } from "../../../regs/vfio/regions.ts";
import type { DeviceBackend, RegionMapping } from "../../seam/backend.ts";
import { Unreleased } from "../../../ffi/unreleased.ts";
import { barName } from "../../pci/bars.ts";
import type { ReportEvent } from "../../seam/events.ts";
import { StandingFault } from "../../seam/standing-fault.ts";
import type { Platform } from "../../seam/platform.ts";
import { hex, intersects, type Range } from "../../address/range.ts";

/** An area of a BAR that the guest reaches without the VMM. */
export interface MappedArea extends RegionArea {
  /** The platform's number for it. */
  readonly slot: number;
  /** Where the guest finds it. */
  readonly gpa: number;
  /** Where this process has it. */
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
  /** Bytes of the BAR that the guest sees. An area that reaches beyond is the page of a BAR smaller than that. */
  readonly size: number;
  /** Whether peer devices are to reach them too. */
  readonly peers: boolean;
  readonly report: ReportEvent;
}

/** What an area that was withdrawn still has of the platform, because that could not take it back. */
interface Leftover {
  readonly area: RegionArea;
  readonly gpa: number;
  readonly held: Held;
}

/** A memory slot, a peer mapping, or the rest of the page that is kept free beside a small BAR. */
type Held =
  | { readonly what: "memory slot"; readonly slot: number }
  | { readonly what: "peer mapping" }
  | { readonly what: "rest of its page"; readonly kept: Disposable };
type Shown = MappedArea & { readonly area: RegionArea; readonly kept: Disposable | undefined };

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
  readonly #host = new Map<RegionArea, { readonly mapping: RegionMapping; readonly stays: StandingFault }>();
  /** Areas that the host refuses to map: asked once, then trapped. */
  readonly #refused = new Set<RegionArea>();
  readonly #size: number;
  #mapped: Shown[] = [];
  readonly #left: Unreleased<Leftover>;
  /** Where the page of a small BAR is shared with something else; undefined where it is not. */
  #shared: number | undefined;

  constructor({ backend, platform, info, areas, size, peers, report }: BarMappingParts) {
    this.#backend = backend;
    this.#platform = platform;
    this.#region = info;
    this.#areas = areas;
    this.#size = size;
    this.#peers = peers;
    this.#report = report;
    this.#left = new Unreleased<Leftover>(
      (left) => this.#take(left),
      ({ area, gpa, held: { what } }, cause) =>
        report("teardown", `${this.#name(area)}: its ${what} at ${hex(gpa)} cannot be taken back`, cause),
    );
  }

  /** @returns false where it is still needed */
  #take({ area, gpa, held }: Leftover): unknown {
    if (held.what === "peer mapping") return this.#platform.dma!.unmap(gpa, area.size);
    if (held.what === "memory slot") return this.#platform.memory.remove(held.slot);
    // It keeps everybody else out of the page while that is shown.
    const isShown = this.#left.some((other) => other.gpa === gpa && other.held.what !== held.what);
    return isShown ? false : held.kept[Symbol.dispose]();
  }

  /** Whether writes reach the memory of its areas. */
  get isWritable(): boolean {
    return this.#region.writable;
  }

  get mapped(): readonly MappedArea[] {
    return this.#mapped.map(({ area: _, kept: __, ...mapped }) => mapped);
  }

  /** Whether the page of a small BAR is shared with something else, so that it is to be shown again once it is not. */
  get waits(): boolean {
    return this.#shared !== undefined;
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
    for (const area of this.#areas) this.#showArea(area, base);
  }

  #showArea(area: RegionArea, base: number): void {
    const gpa = base + area.offset;
    const what = this.#name(area);
    const wasShared = this.#shared;
    this.#shared = undefined;
    const trapped = (why: string, cause?: unknown): void =>
      this.#report("area-trapped", `${what} ${why} and stays trapped`, cause);
    const { pageSize } = this.#platform;
    if (gpa % pageSize !== 0)
      return trapped(`would be at ${hex(gpa)}, which is not aligned to pages of ${pageSize} bytes,`);
    const left = [...this.#left].filter((one) => one.area === area && one.gpa === gpa);
    const leftOf = <W extends Held["what"]>(kind: W): Extract<Held, { what: W }> | undefined =>
      left.find(({ held }) => held.what === kind)?.held as Extract<Held, { what: W }> | undefined;
    if (left.length === 0 && this.hasLeft({ base: gpa, size: area.size }))
      return trapped(`would be over a memory slot or peer mapping that could not be taken back,`);
    const mapping = this.#hostMapping(area, trapped);
    if (!mapping) return;
    const isWider = area.offset + area.size > this.#size;
    const kept = isWider ? (leftOf("rest of its page")?.kept ?? this.#keepRest(area, base)) : undefined;
    if (isWider && !kept) return this.#share(base, wasShared, trapped);
    const { hva } = mapping;
    const readOnly = !this.#region.writable;
    let slot = leftOf("memory slot")?.slot;
    try {
      slot ??= this.#platform.memory.add({ gpa, size: area.size, hva, readOnly });
    } catch (cause) {
      if (!left.some(({ held }) => held.what === "rest of its page")) kept?.[Symbol.dispose]();
      return trapped("gets no memory slot", cause);
    }
    for (const one of left) this.#left.delete(one);
    const peer =
      leftOf("peer mapping") !== undefined || this.#mapPeer(gpa, area.size, mapping, readOnly, what);
    this.#mapped.push({ ...area, area, slot, gpa, hva, peer, kept });
  }

  /** The rest of a page that a small BAR is in is nobody's, or the page cannot be shown. */
  #keepRest(area: RegionArea, base: number): Disposable | undefined {
    const rest = { base: base + this.#size, size: area.offset + area.size - this.#size };
    return this.#platform.bus.keepFree?.(rest, () => {
      this.withdraw();
      if (this.hasLeft({ base: base + area.offset, size: area.size })) return false;
      this.#share(base, undefined, (why) =>
        this.#report("area-trapped", `${this.#name(area)} ${why} and stays trapped`),
      );
      return true;
    });
  }

  /** @param told the place where it was shared before: that is told once */
  #share(base: number, told: number | undefined, trapped: (why: string) => void): void {
    if (told !== base)
      trapped(
        this.#platform.bus.keepFree
          ? `shares its page at ${hex(base)} with something else`
          : "is smaller than a page, which this platform does not keep free for it,",
      );
    this.#shared = base;
  }

  #hostMapping(area: RegionArea, trapped: (why: string, cause: unknown) => void): RegionMapping | undefined {
    const known = this.#host.get(area);
    if (known || this.#refused.has(area)) return known?.mapping;
    try {
      const mapping = this.#backend.map(this.#region.index, area);
      this.#host.set(area, { mapping, stays: new StandingFault(this.#report, "teardown") });
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
      this.#report("peer-unavailable", `${what} at ${hex(iova)} is out of reach of other devices`, cause);
      return false;
    }
  }

  /** Takes all areas away from peers, then from the guest. What cannot be taken is left for `settle`. */
  withdraw(): void {
    // The newest goes first: peers before the guest.
    for (const { area, gpa, slot, peer, kept } of this.#mapped) {
      if (kept) this.#left.add({ area, gpa, held: { what: "rest of its page", kept } });
      this.#left.add({ area, gpa, held: { what: "memory slot", slot } });
      if (peer) this.#left.add({ area, gpa, held: { what: "peer mapping" } });
    }
    this.#mapped = [];
    this.#shared = undefined;
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
    for (const [area, { mapping, stays }] of this.#host) {
      if (this.#left.some((left) => left.area === area)) {
        stays.tell(`${this.#name(area)} stays mapped in this process: the guest or a peer still reaches it`);
        continue;
      }
      try {
        mapping[Symbol.dispose]();
        this.#host.delete(area);
      } catch (cause) {
        stays.tell(`${this.#name(area)}: its host mapping cannot be taken back`, cause);
      }
    }
  }
}
