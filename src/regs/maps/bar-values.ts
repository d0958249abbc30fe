// What base address registers mean together: PCI Express Base Specification 7.5.1.2.1.
import { composed, type Composed, type ComposedValue } from "../derived.ts";
import { addressData, addressText } from "../size-text.ts";
import { hexDigits } from "../hex-text.ts";

/** One region of a function, as its registers give it. */
export interface Region {
  readonly [name: string]: ComposedValue;
  /** What it decodes. */
  readonly space: "memory" | "I/O";
  /** In hexadecimal, with `0x`. */
  readonly address: string;
  /** Bits of the address: of memory 20 for below 1 MB, 32, 64, or 0 for the reserved type. */
  readonly width: number;
  /** As the device says. */
  readonly prefetchable: boolean;
}

/** By the type in a memory BAR; the last is reserved. */
const memoryWidths = [32, 20, 64, 0] as const;

/**
 * The region that begins in the last of `bars`, the registers up to it.
 * @param next the register behind it: undefined where there is none, null where nobody read it
 */
function regionOf(bars: readonly number[], next: number | undefined | null): Region | undefined {
  // A register that is the upper half of another begins none.
  for (let i = 0; i < bars.length - 1; i++)
    if ((bars[i]! & 7) === 4 && ++i === bars.length - 1) return undefined;
  const bar = bars.at(-1)!;
  if (bar === 0) return undefined;
  if (bar & 1) return { space: "I/O", address: addressData(bar - (bar & 3)), width: 32, prefetchable: false };
  const low = BigInt(bar - (bar & 15));
  if ((bar & 6) === 4 && next === null) return undefined;
  // A 64-bit BAR in the last place has nowhere to keep its upper half: it has no address.
  const upper = typeof next === "number" ? BigInt(next) << 32n : undefined;
  const address = (bar & 6) === 4 ? (upper === undefined ? 0n : upper | low) : low;
  const width = memoryWidths[(bar >> 1) & 3]!;
  return { space: "memory", address: addressData(address), width, prefetchable: (bar & 8) !== 0 };
}

function regionText({ space, address, width, prefetchable }: Region): string {
  const value = BigInt(address);
  if (space === "I/O") return `I/O ports at ${value === 0n ? "<unassigned>" : hexDigits(value, 4)}`;
  const kind = width === 20 ? "low-1M" : width === 0 ? "type 3" : `${width}-bit`;
  const place = value === 0n ? "<unassigned>" : addressText(value);
  return `Memory at ${place} (${kind}, ${prefetchable ? "" : "non-"}prefetchable)`;
}

type Names = "region0" | "region1" | "region2" | "region3" | "region4" | "region5";

/** `region0` to the last of `count` registers, whose names are `register` and their number. */
export function regions<const N extends 1 | 2 | 6>(
  count: N,
  register = "bar",
): Readonly<
  Record<N extends 6 ? Names : N extends 2 ? "region0" | "region1" : "region0", Composed<Region, string>>
> {
  const values: Record<string, Composed<Region, string>> = {};
  for (let index = 0; index < count; index++) {
    // Its own register first: that is where the region is found.
    const before = Array.from({ length: index }, (_, i) => `${register}${i}`);
    const next = index + 1 < count ? [`${register}${index + 1}`] : [];
    values[`region${index}`] = composed(
      [`${register}${index}`, ...before, ...next],
      (own = 0, ...others) =>
        regionOf([...others.slice(0, index), own], index + 1 < count ? (others[index] ?? null) : undefined),
      { label: `Region ${index}`, text: regionText, needed: index + 1 },
    );
  }
  return values as never;
}
