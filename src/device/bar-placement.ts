import { VfioError } from "../ffi/errors.ts";
import { barName, type Bar, type BarKind } from "./bars.ts";
import type { BarMapping } from "./bar-mapping.ts";
import type { ReportEvent } from "./events.ts";
import type { AddressAllocator, Platform, TrappedRange } from "./platform.ts";

/** Where one BAR is in the guest's address space. */
export interface PlacedBar {
  readonly bar: Bar;
  /** Guest address that its accesses trap at; undefined while it decodes nothing. */
  readonly base: number | undefined;
}

interface Placement {
  readonly bar: Bar;
  readonly mapping: BarMapping;
  /** The range of the address allocator that the BAR's register stands for, decoded or not. */
  reserved: { readonly allocator: AddressAllocator; readonly base: number } | undefined;
  placed: TrappedRange | undefined;
  mapped: boolean;
}

/** What the registers say, now. */
export interface BarWish {
  /** The address in the register; undefined where no guest address can be. */
  readonly address: number | undefined;
  /** Whether the BAR decodes: memory or I/O enable, power state, ROM enable. */
  readonly decoded: boolean;
  /** Whether its areas may be mapped. */
  readonly mappable: boolean;
}

/**
 * Keeps guest address, trapped range, memory slots and peer mappings of each BAR the same thing. A move is one
 * transaction over all BARs: first everything that leaves its place is withdrawn, then everything that comes is placed,
 * so that two BARs can change places. A BAR that cannot be where the guest put it decodes nothing.
 */
export class BarPlacement {
  readonly #platform: Platform;
  readonly #report: ReportEvent;
  readonly #placements: readonly Placement[];
  /** While state is restored: registers follow one by one, and mean something only all together. */
  #paused = false;
  /** BARs, by region index, that get their addresses before the others in the next `sync`. */
  #first: ReadonlySet<number> | undefined;
  /** Sorted copy of what is placed, for the trap path. */
  #table: readonly TrappedRange[] = [];

  constructor(platform: Platform, bars: readonly { bar: Bar; mapping: BarMapping }[], report: ReportEvent) {
    this.#platform = platform;
    this.#report = report;
    this.#placements = bars.map(({ bar, mapping }) => ({
      bar,
      mapping,
      reserved: undefined,
      placed: undefined,
      mapped: false,
    }));
  }

  /**
   * Finds a first address for each BAR and reserves it.
   * @throws VfioError naming every BAR and the one that does not fit; nothing stays reserved then
   */
  allocate(device: string): ReadonlyMap<number, number> {
    const addresses = new Map<number, number>();
    // The largest first: natural alignment then leaves no holes.
    for (const placement of [...this.#placements].sort((a, b) => b.bar.size - a.bar.size)) {
      const { bar } = placement;
      // A page of its own, so that a mapping next to it never covers it.
      const alignment = bar.kind === "io" ? bar.size : Math.max(bar.size, this.#platform.pageSize);
      for (const allocator of this.#windows(bar.kind)) {
        const base = allocator.allocate(bar.size, alignment);
        if (base === undefined) continue;
        placement.reserved = { allocator, base };
        addresses.set(bar.region, base);
        break;
      }
      if (!placement.reserved) {
        this.release();
        throw noRoom(device, bar, this.#placements);
      }
    }
    return addresses;
  }

  #windows(kind: BarKind): AddressAllocator[] {
    const { io, mmio32, mmio64 } = this.#platform.addresses;
    if (kind === "io") return io ? [io] : [];
    return kind === "memory64" ? [mmio64, mmio32] : [mmio32];
  }

  /** Makes the address space follow the registers. Called after each write that may change them. */
  sync(wish: (bar: Bar) => BarWish): void {
    if (this.#paused) return;
    const first = this.#first;
    this.#first = undefined;
    const comesFirst = ({ bar }: Placement): boolean => first?.has(bar.region) ?? true;
    const wishes = this.#placements.map((placement) => ({ placement, wish: wish(placement.bar) }));
    let changed = false;
    for (const { placement, wish: wanted } of wishes) {
      const { placed } = placement;
      const stays = placed !== undefined && wanted.decoded && wanted.address === placed.base;
      if (placement.mapped && !(stays && wanted.mappable)) {
        placement.mapping.withdraw();
        placement.mapped = false;
      }
      if (placed && !stays) {
        this.#remove(placement);
        changed = true;
      }
      if (placement.reserved && !(placement.reserved.base === wanted.address && comesFirst(placement)))
        this.#unreserve(placement);
    }
    if (first) wishes.sort((a, b) => Number(comesFirst(b.placement)) - Number(comesFirst(a.placement)));
    for (const { placement, wish: wanted } of wishes) {
      if (wanted.address !== undefined) this.#reserve(placement, wanted.address);
      if (wanted.decoded && !placement.placed && this.#place(placement, wanted.address)) changed = true;
      if (placement.placed && wanted.mappable && !placement.mapped) {
        placement.mapping.show(placement.placed.base);
        placement.mapped = true;
      }
    }
    if (changed) this.#rebuild();
  }

  /** BARs, by region index, that have the addresses in their registers: where two want the same, the first to come has it. */
  get held(): readonly number[] {
    return this.#placements.filter(({ reserved }) => reserved).map(({ bar }) => bar.region);
  }

  /**
   * For a restore: nothing moves while `act` writes the registers. The next `sync` places all of them.
   * @param held what `held` was: these BARs come first
   */
  restore(held: readonly number[], act: () => void): void {
    this.#paused = true;
    try {
      act();
    } finally {
      this.#paused = false;
      this.#first = new Set(held);
    }
  }

  #reserve(placement: Placement, base: number): void {
    if (placement.reserved) return;
    const { bar } = placement;
    const { io, mmio32, mmio64 } = this.#platform.addresses;
    try {
      for (const allocator of bar.kind === "io" ? [io] : [mmio32, mmio64])
        if (allocator?.reserve(base, bar.size)) {
          placement.reserved = { allocator, base };
          return;
        }
    } catch (cause) {
      // As one that is taken: a BAR that decodes says so where it is placed.
      this.#report("bar-unplaced", `${barName(bar.region)} gets no address`, cause);
    }
  }

  #unreserve(placement: Placement): void {
    const { reserved, bar } = placement;
    placement.reserved = undefined;
    try {
      reserved?.allocator.free(reserved.base, bar.size);
    } catch (cause) {
      this.#report("teardown", `${barName(bar.region)}: its address cannot be given back`, cause);
    }
  }

  #place(placement: Placement, address: number | undefined): boolean {
    const { bar, reserved } = placement;
    if (!reserved || address === undefined) {
      const where = address === undefined ? "an address above 2^53" : `0x${address.toString(16)}`;
      this.#report(
        "bar-unplaced",
        `${barName(bar.region)} cannot be at ${where}: taken, or outside of every window`,
      );
      return false;
    }
    const range: TrappedRange = {
      kind: bar.kind === "io" ? "io" : "mmio",
      base: address,
      size: bar.size,
      region: bar.region,
    };
    try {
      this.#platform.bus.insert(range);
    } catch (cause) {
      this.#report("bar-unplaced", `${barName(bar.region)} cannot be at 0x${address.toString(16)}`, cause);
      return false;
    }
    placement.placed = range;
    return true;
  }

  #remove(placement: Placement): void {
    const range = placement.placed!;
    placement.placed = undefined;
    try {
      this.#platform.bus.remove(range);
    } catch (cause) {
      this.#report("teardown", `${barName(range.region)}: its trapped range cannot be taken back`, cause);
    }
  }

  #rebuild(): void {
    this.#table = this.#placements
      .flatMap(({ placed }) => (placed ? [placed] : []))
      .sort((a, b) => a.base - b.base);
  }

  /** The range that holds a guest address. A device has seven at most: a scan beats a search, and allocates nothing. */
  find(kind: "mmio" | "io", address: number): TrappedRange | undefined {
    for (const range of this.#table)
      if (range.kind === kind && address >= range.base && address - range.base < range.size) return range;
    return undefined;
  }

  /** Every BAR, with the place it has. */
  get bars(): readonly (PlacedBar & { readonly mapping: BarMapping })[] {
    return this.#placements.map(({ bar, placed, mapping }) => ({ bar, base: placed?.base, mapping }));
  }

  /** Gives everything back: mappings, trapped ranges, addresses. */
  release(): void {
    for (const placement of this.#placements) {
      if (placement.mapped) placement.mapping.withdraw();
      placement.mapped = false;
      if (placement.placed) this.#remove(placement);
      this.#unreserve(placement);
    }
    this.#table = [];
  }

  [Symbol.dispose](): void {
    this.release();
    for (const { mapping } of this.#placements) mapping[Symbol.dispose]();
  }
}

function noRoom(device: string, failed: Bar, placements: readonly Placement[]): VfioError {
  const describe = ({ bar }: Placement): string =>
    `${barName(bar.region)} ${bar.kind}${bar.prefetchable ? " prefetchable" : ""} 0x${bar.size.toString(16)}`;
  return new VfioError(
    `${device}: no guest addresses left for ${barName(failed.region)} (0x${failed.size.toString(16)} bytes, ${failed.kind}); ` +
      `the device needs ${placements.map(describe).join(", ")}, each aligned to its size`,
    { code: "ENOSPC", device, hint: "Give the virtual machine a larger MMIO window." },
  );
}
