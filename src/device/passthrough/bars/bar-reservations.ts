// The guest addresses that one BAR keeps other devices away from.
import { Unreleased } from "../../../ffi/unreleased.ts";
import { barName, type Bar } from "../../pci/bars.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { AddressAllocator, Platform } from "../../seam/platform.ts";
import { contains, hex, intersects, type Range } from "../../address/range.ts";

interface Reservation {
  readonly allocator: AddressAllocator;
  readonly base: number;
}

/** Upper bound on reservations of a BAR: a guest cannot exhaust the window while the platform fails to free ranges. */
const maxReservations = 8;

/**
 * The ranges of the platform's address windows that one BAR keeps from being handed to somebody else, such as a device that
 * is plugged in later. They are a courtesy among devices, not what makes a BAR decode: that is the bus's to decide.
 */
export class BarReservations {
  readonly #platform: Platform;
  readonly #bar: Bar;
  readonly #report: ReportEvent;
  /** What is reserved. It is given back when nothing needs it any more. */
  readonly #held: Unreleased<Reservation>;
  /** Whether an address is still needed: what `release` was told last. */
  #needs: (base: number) => boolean = () => true;
  /** Where the platform failed to reserve: said once an address. */
  #failed: number | undefined;

  constructor(platform: Platform, bar: Bar, report: ReportEvent) {
    this.#platform = platform;
    this.#bar = bar;
    this.#report = report;
    this.#held = new Unreleased<Reservation>(
      ({ allocator, base }) => this.#give(allocator, base),
      ({ base }, cause) =>
        report("teardown", `${barName(bar.region)}: its address ${hex(base)} cannot be given back`, cause),
    );
  }

  /** @returns false for an address that is still needed */
  #give(allocator: AddressAllocator, base: number): boolean {
    if (this.#needs(base)) return false;
    allocator.free(base, this.#bar.size);
    return true;
  }

  /** Windows where the BAR may be, the preferred first. */
  get #windows(): AddressAllocator[] {
    const { io, mmio32, mmio64 } = this.#platform.addresses;
    const { kind } = this.#bar;
    if (kind === "io") return io ? [io] : [];
    return kind === "memory64" ? [mmio64, mmio32] : [mmio32, mmio64];
  }

  /** Whether the whole BAR would lie in one window. */
  fits(base: number): boolean {
    return this.#windows.some((window) => contains(window, base, this.#bar.size));
  }

  /** Finds a free address, and reserves it. @throws what the platform's allocator throws */
  allocate(): number | undefined {
    const { kind, size } = this.#bar;
    // A page of its own, so that a mapping next to it never covers it.
    const alignment = kind === "io" ? size : Math.max(size, this.#platform.pageSize);
    // A 32-bit register cannot express what lies above 4 GiB.
    const windows = kind === "memory32" || kind === "rom" ? [this.#platform.addresses.mmio32] : this.#windows;
    for (const allocator of windows) {
      const base = allocator.allocate(size, alignment);
      if (base === undefined) continue;
      this.#held.add({ allocator, base });
      return base;
    }
    return undefined;
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size;
  }

  has(base: number): boolean {
    return this.#held.some((one) => one.base === base);
  }

  /** Reserves an address if nobody else has it. */
  reserve(base: number): void {
    if (this.has(base) || this.#held.size >= maxReservations) return;
    try {
      const allocator = this.#windows.find((window) => window.reserve(base, this.#bar.size));
      if (allocator) this.#held.add({ allocator, base });
      this.#failed = undefined;
    } catch (cause) {
      if (this.#failed !== base)
        this.#report(
          "address-unreserved",
          `${barName(this.#bar.region)}: ${hex(base)} may be handed to another device`,
          cause,
        );
      this.#failed = base;
    }
  }

  /** Gives back what nobody needs any more, or tries to: what cannot be given back now may be another time. */
  release(needs: (base: number) => boolean): void {
    this.#needs = needs;
    this.#held.settle();
  }

  /** Makes room for another BAR of the device. */
  yield(range: Range, needs: (base: number) => boolean): void {
    this.release((base) => needs(base) || !intersects(range, { base, size: this.#bar.size }));
  }
}
