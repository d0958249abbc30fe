// What is known of one BAR's place in the guest's address space, and what follows from it. Pure: no calls to the platform.
import type { BarMapping } from "./bar-mapping.ts";
import type { BarReservations } from "./bar-reservations.ts";
import type { Unreleased } from "../../../ffi/unreleased.ts";
import { barName, type Bar } from "../../pci/bars.ts";
import type { TrappedRange } from "../../seam/platform.ts";
import { intersects } from "../../address/range.ts";

/** Why a BAR cannot be where its register says. */
export interface Obstacle {
  readonly why: string;
  readonly cause?: unknown;
}

export interface Placement {
  readonly bar: Bar;
  readonly mapping: BarMapping;
  readonly reservations: BarReservations;
  /** In the register, at the last `sync`. */
  address: number | undefined;
  /** At the last `sync`. */
  decoded: boolean;
  /** Without one the BAR has its address as far as this device goes, whether it decodes or not. */
  obstacle: Obstacle | undefined;
  /** The last address that it had; stays reserved while the register holds nothing better, as while the guest sizes it. */
  lastAddress: number | undefined;
  placed: TrappedRange | undefined;
  mapped: boolean;
  /** Ranges that it is not at any more, but that could not be taken back, or still have a memory slot in them. */
  readonly unreleased: Unreleased<TrappedRange>;
  /** Address in the last `bar-unplaced` event, so that each is reported once. */
  lastReported: string | undefined;
}

export const rangeOf = ({ kind, size, region }: Bar, base: number): TrappedRange => ({
  kind: kind === "io" ? "io" : "mmio",
  base,
  size,
  region,
});

const overlap = (a: TrappedRange, b: TrappedRange): boolean => a.kind === b.kind && intersects(a, b);

/** Whether a reservation must stay whoever else wants it. */
export const isNeeded = ({ address, obstacle, unreleased }: Placement, base: number): boolean =>
  (!obstacle && base === address) || unreleased.some((range) => range.base === base);

/**
 * What keeps a BAR from the address in its register, as far as its device goes.
 * @param decided the BARs that have theirs
 * @param all of the device, for what they left behind
 */
export function obstacleOf(
  { bar, address, reservations }: Placement,
  decided: readonly Placement[],
  all: readonly Placement[],
): Obstacle | undefined {
  if (address === undefined) return { why: "no guest memory is there" };
  if (!reservations.fits(address)) return { why: "outside of every window" };
  const range = rangeOf(bar, address);
  const there = decided.find((other) => overlap(range, rangeOf(other.bar, other.address!)));
  if (there) return { why: `${barName(there.bar.region)} is there` };
  for (const other of all)
    for (const left of other.unreleased)
      // Its own is what it needs there.
      if (overlap(range, left) && !(other.bar === bar && left.base === address))
        return { why: `what ${barName(other.bar.region)} had there is not taken back yet` };
  return undefined;
}
