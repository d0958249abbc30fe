// Decides which BAR is where in the guest, after each write that may move one; bar-mapping.ts carries out what it decides.
import type { Stateful } from "../../seam/stateful.ts";
import type { BarsState } from "./bars-schema.ts";
import { Unreleased } from "../../../ffi/unreleased.ts";
import { barName, type Bar } from "../../pci/bars.ts";
import type { BarMapping } from "./bar-mapping.ts";
import { PlacedRanges } from "./placed-ranges.ts";
import { isNeeded, obstacleOf, rangeOf, type Obstacle, type Placement } from "./placement-rules.ts";
import { BarReservations } from "./bar-reservations.ts";
import { reserveFirst, type AskedAddresses } from "./first-addresses.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { Platform, TrappedRange } from "../../seam/platform.ts";
import { hex } from "../../address/range.ts";

/** Where one BAR is in the guest's address space. */
export interface PlacedBar {
  readonly bar: Bar;
  /** Guest address that its accesses trap at; undefined while it decodes nothing. */
  readonly base: number | undefined;
}

/** What the registers ask for a BAR, now. */
export interface BarRequest {
  /** The address in the register; undefined where no guest address can be. */
  readonly address: number | undefined;
  /** A register holds ones alone: the guest sizes the BAR, if it does not mean the top of the address space. */
  readonly sized: boolean;
  /** A register was written in part. */
  readonly unfinished: boolean;
  /** Whether the BAR decodes: memory or I/O enable, power state, ROM enable. */
  readonly decoded: boolean;
  /** Whether its areas may be mapped now. */
  readonly mappable: boolean;
}

/** Places that a BAR may leave something behind at. What a platform never takes back must not grow with each move. */
const maxUnreleased = 8;

/**
 * Keeps guest address, trapped range, memory slots and peer mappings of each BAR the same thing. A move is one
 * transaction over all BARs: first everything that leaves its place is withdrawn, then everything that comes is placed,
 * so that two BARs can change places. A BAR that cannot be where the guest put it decodes nothing, and is tried again at
 * each `sync`. Of two BARs that want one address the one that decodes has it, then the one that had it before.
 *
 * What the platform does not take back is kept and tried again at each `sync`: slots first, then the trapped range around
 * them, then the address, so that nobody else comes to be where a slot still is.
 */
export class BarPlacement implements Stateful<BarsState> {
  readonly #platform: Platform;
  readonly #report: ReportEvent;
  readonly #placements: readonly Placement[];
  /** While state is restored: registers follow one by one, and mean something only all together. */
  #paused = false;
  /** BARs, by region index, that get their addresses before the others in the next `sync`. */
  #priority: ReadonlySet<number> | undefined;
  readonly #ranges = new PlacedRanges();

  constructor(platform: Platform, bars: readonly { bar: Bar; mapping: BarMapping }[], report: ReportEvent) {
    this.#platform = platform;
    this.#report = report;
    this.#placements = bars.map(({ bar, mapping }) => ({
      bar,
      mapping,
      reservations: new BarReservations(platform, bar, report),
      address: undefined,
      decoded: false,
      obstacle: undefined,
      lastAddress: undefined,
      placed: undefined,
      mapped: false,
      unreleased: new Unreleased<TrappedRange>(
        // It keeps everybody else out while there is a slot in it.
        (range) => (mapping.hasLeft(range) ? false : platform.bus.remove(range)),
        ({ region, base }, cause) =>
          report("teardown", `${barName(region)}: its range at ${hex(base)} cannot be taken back`, cause),
      ),
      lastReported: undefined,
    }));
  }

  /**
   * Finds a first address for each BAR and reserves it.
   * @param asked of those that the VMM wants somewhere
   * @throws VfioError as `reserveFirst`; nothing stays reserved then
   */
  allocate(device: string, asked: AskedAddresses): ReadonlyMap<number, number> {
    try {
      const addresses = reserveFirst(device, this.#placements, asked);
      for (const placement of this.#placements)
        placement.address = placement.lastAddress = addresses.get(placement.bar.region);
      return addresses;
    } catch (cause) {
      this.release();
      throw cause;
    }
  }

  /** Makes the address space follow the registers. Called after each write that may change them. */
  sync(requested: (bar: Bar) => BarRequest): void {
    if (this.#paused) return;
    const priority = this.#priority;
    this.#priority = undefined;
    const requests = this.#placements.map((placement) => {
      const wanted = requested(placement.bar);
      const { placed, obstacle, address, bar } = placement;
      const stays = placed !== undefined && wanted.decoded && wanted.address === placed.base;
      const had = priority ? priority.has(bar.region) : !obstacle && address === wanted.address;
      const rank = stays ? 0 : (wanted.decoded ? 1 : 3) + (had ? 0 : 1);
      // A ROM's own register turns it on: with ones alone that is sizing, too.
      const turnedOn = wanted.decoded && !placement.decoded && bar.kind !== "rom";
      placement.decoded = wanted.decoded;
      return { placement, wanted, stays, rank, turnedOn };
    });
    for (const { placement, wanted, stays } of requests)
      this.#leave(placement, stays, stays && wanted.mappable, wanted.address);
    const decided: Placement[] = [];
    for (const { placement, wanted, turnedOn } of requests.sort((a, b) => a.rank - b.rank)) {
      placement.obstacle = placement.placed ? undefined : obstacleOf(placement, decided, this.#placements);
      if (wanted.decoded && !placement.placed)
        this.#place(placement, wanted.unfinished || (wanted.sized && !turnedOn));
      if (!placement.obstacle) decided.push(placement);
    }
    for (const { placement, wanted, turnedOn } of requests)
      this.#reserve(placement, turnedOn || !wanted.sized);
    for (const { placement, wanted } of requests) {
      if (!placement.placed || !wanted.mappable) continue;
      if (placement.mapped && !placement.mapping.waits) continue;
      placement.mapping.show(placement.placed.base);
      placement.mapped = true;
    }
    this.#setRanges();
  }

  /** Takes a BAR, or its mapping alone, from where it was, and tries again what could not be taken before. */
  #leave(placement: Placement, stays: boolean, staysMapped: boolean, address: number | undefined): void {
    placement.address = address;
    if (placement.mapped && !staysMapped) {
      placement.mapped = false;
      placement.mapping.withdraw();
    } else placement.mapping.settle();
    if (placement.placed && !stays) {
      placement.unreleased.add(placement.placed);
      placement.placed = undefined;
    }
    placement.unreleased.settle();
  }

  /** @param quiet where it cannot be there, that is no failure */
  #place(placement: Placement, quiet: boolean): void {
    const { bar, address, unreleased } = placement;
    placement.obstacle ??= this.#insert(placement);
    const { obstacle } = placement;
    if (!obstacle) {
      const there = [...unreleased].find(({ base }) => base === address);
      // Back at a place that it could not be taken from, which is its own again.
      if (there) unreleased.delete(there);
      placement.placed = there ?? rangeOf(bar, address!);
      placement.lastReported = undefined;
      return;
    }
    if (quiet) return;
    const where = address === undefined ? "an address above 2^53" : hex(address);
    if (placement.lastReported !== where)
      this.#report(
        "bar-unplaced",
        `${barName(bar.region)} cannot be at ${where}: ${obstacle.why}`,
        obstacle.cause,
      );
    placement.lastReported = where;
  }

  #insert({ bar, address, unreleased }: Placement): Obstacle | undefined {
    if (unreleased.some(({ base }) => base === address)) return undefined;
    if (unreleased.size >= maxUnreleased)
      return { why: `what it had at ${unreleased.size} others is not taken back yet` };
    try {
      this.#platform.bus.insert(rangeOf(bar, address!));
      return undefined;
    } catch (cause) {
      return { why: "the bus refuses it", cause };
    }
  }

  /** Reserves what a BAR has or would have, and gives back what it has no more. @param meant the address is no probe */
  #reserve(placement: Placement, meant: boolean): void {
    const { bar, address, obstacle, reservations, placed } = placement;
    if (!obstacle && address !== undefined) {
      const range = rangeOf(bar, address);
      if (!reservations.has(address))
        for (const other of this.#placements)
          if (other !== placement && (other.bar.kind === "io") === (bar.kind === "io"))
            other.reservations.yield(range, (base) => isNeeded(other, base));
      reservations.reserve(address);
      // What looks like sizing may be the top of a window after all: then the guest turns decoding on there.
      if ((placed || reservations.has(address)) && meant) placement.lastAddress = address;
    }
    reservations.release((base) => base === placement.lastAddress || isNeeded(placement, base));
  }

  /** BARs, by region index, that have the addresses in their registers: where two want the same, the first to come has it. */
  get addressOwners(): readonly number[] {
    return this.#placements.filter(({ obstacle }) => !obstacle).map(({ bar }) => bar.region);
  }

  save(): BarsState {
    return { held: [...this.addressOwners] };
  }
  /** In the next `sync` the BARs that had their addresses come first. @throws RangeError for one that the device does not have */
  restore({ held }: BarsState): void {
    const absent = held.find((region) => !this.#placements.some(({ bar }) => bar.region === region));
    if (absent !== undefined)
      throw new RangeError(`${barName(absent)} has its address, and the device has no such BAR`);
    this.#priority = new Set(held);
  }

  /** Nothing moves while `act` writes registers, which mean something only all together. */
  paused(act: () => void): void {
    this.#paused = true;
    try {
      act();
    } finally {
      this.#paused = false;
    }
  }

  #setRanges(): void {
    this.#ranges.set(this.#placements.flatMap(({ placed }) => (placed ? [placed] : [])));
  }

  /** The range that holds a guest address. */
  find(kind: "mmio" | "io", address: number): TrappedRange | undefined {
    return this.#ranges.find(kind, address);
  }

  /** Every BAR, with the place it has. */
  get bars(): readonly (PlacedBar & { readonly mapping: BarMapping })[] {
    return this.#placements.map(({ bar, placed, mapping }) => ({ bar, base: placed?.base, mapping }));
  }

  /** Whether something that could not be taken back still shows memory of the device to the guest or to peers. */
  get isReached(): boolean {
    return this.#placements.some(({ mapping }) => mapping.isReached);
  }

  /** Whether nothing of the platform's is left: no slot, no trapped range, no address. */
  get isReleased(): boolean {
    return (
      !this.isReached &&
      this.#placements.every(
        ({ placed, unreleased, reservations }) => !placed && unreleased.size === 0 && reservations.size === 0,
      )
    );
  }

  /** Gives everything back: mappings, trapped ranges, addresses. What cannot be given back is reported. */
  release(): void {
    for (const placement of this.#placements) {
      this.#leave(placement, false, false, undefined);
      placement.lastAddress = undefined;
      placement.reservations.release((base) => isNeeded(placement, base));
    }
    this.#setRanges();
  }

  /** Releases, then unmaps what no slot shows any more. Called again, it tries again. */
  [Symbol.dispose](): void {
    this.release();
    for (const { mapping } of this.#placements) mapping[Symbol.dispose]();
    // What is taken back only now was in the way of the trapped range around it.
    if (!this.isReleased) this.release();
  }
}
