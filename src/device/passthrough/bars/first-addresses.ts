// Where a device's BARs are when its guest finds it: at the addresses that the VMM asked for, the others wherever there is room.
import { VfioError } from "../../../ffi/errors.ts";
import { hex, intersects } from "../../address/range.ts";
import { barName, type Bar } from "../../pci/bars.ts";
import type { BarReservations } from "./bar-reservations.ts";
import { rangeOf } from "./placement-rules.ts";

/** A BAR, and what may reserve an address for it. */
interface Unplaced {
  readonly bar: Bar;
  readonly reservations: BarReservations;
}

/** Guest addresses by region index. */
export type AskedAddresses = ReadonlyMap<number, number>;

/**
 * Reserves a first address for each BAR.
 * @throws VfioError: `EADDRNOTAVAIL` where one cannot be where it was asked for, `ENOSPC` where there is no room, which names
 * every BAR. What is reserved then is the caller's to release
 */
export function reserveFirst(
  device: string,
  bars: readonly Unplaced[],
  asked: AskedAddresses,
): Map<number, number> {
  const addresses = new Map<number, number>();
  for (const [region, address] of asked) {
    const why = misfit(bars, region, address, addresses);
    if (why !== undefined) throw notThere(device, region, address, why);
    addresses.set(region, address);
  }
  // The largest first: natural alignment then leaves no holes.
  for (const { bar, reservations } of [...bars].sort((a, b) => b.bar.size - a.bar.size)) {
    if (addresses.has(bar.region)) continue;
    const base = reservations.allocate();
    if (base === undefined) throw noRoom(device, bar, bars);
    addresses.set(bar.region, base);
  }
  return addresses;
}

/** Reserves an address that was asked for. @returns why that cannot be */
function misfit(
  bars: readonly Unplaced[],
  region: number,
  address: number,
  taken: AskedAddresses,
): string | undefined {
  const one = bars.find(({ bar }) => bar.region === region);
  if (!one) return "the device has no such BAR";
  const { bar, reservations } = one;
  if (address % bar.size !== 0) return `it is not aligned to its size, ${hex(bar.size)}`;
  const isNarrow = bar.kind === "memory32" || bar.kind === "rom";
  if (isNarrow && address >= 2 ** 32) return "its register has 32 bits";
  if (!reservations.fits(address)) return "outside of every window";
  const range = rangeOf(bar, address);
  const other = bars.find((placed) => {
    const base = taken.get(placed.bar.region);
    return base !== undefined && intersects(range, { base, size: placed.bar.size });
  });
  if (other) return `${barName(other.bar.region)} is asked to be there`;
  reservations.reserve(address);
  return reservations.has(address) ? undefined : "something else has part of it";
}

const notThere = (device: string, region: number, address: number, why: string): VfioError =>
  new VfioError(`${device}: ${barName(region)} cannot be at ${hex(address)}: ${why}`, {
    code: "EADDRNOTAVAIL",
    device,
    hint: "The address was asked for in `bars`; without it the BAR gets one where there is room.",
  });

function noRoom(device: string, failed: Bar, bars: readonly Unplaced[]): VfioError {
  const describe = ({ bar }: Unplaced): string =>
    `${barName(bar.region)} ${bar.kind}${bar.prefetchable ? " prefetchable" : ""} ${hex(bar.size)}`;
  return new VfioError(
    `${device}: no guest addresses left for ${barName(failed.region)} (${hex(failed.size)} bytes, ${failed.kind}); ` +
      `the device needs ${bars.map(describe).join(", ")}, each aligned to its size`,
    { code: "ENOSPC", device, hint: "Give the virtual machine a larger MMIO window." },
  );
}
