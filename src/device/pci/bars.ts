import { RegionIndex, type RegionInfo } from "../../regs/vfio/regions.ts";

/** What a BAR decodes. */
export type BarKind = "io" | "memory32" | "memory64" | "rom";

/** A base address register, from the type bits in config space and the size that the region has. */
export interface Bar {
  /** Region index: 0 to 5, or 6 for the ROM. */
  readonly region: number;
  /** Byte offset in config space. */
  readonly register: number;
  readonly kind: BarKind;
  readonly prefetchable: boolean;
  /** Bytes behind it on the device. */
  readonly physicalSize: number;
  /** Bytes that the guest sees: a power of two, `physicalSize` or more. */
  readonly size: number;
}

const romRegister = 0x30;
const minimumSize: Record<BarKind, number> = { io: 4, memory32: 16, memory64: 16, rom: 2048 };
/** The largest that the register's address bits can express. */
const maximumSize: Record<BarKind, number> = {
  io: 2 ** 31,
  memory32: 2 ** 31,
  memory64: 2 ** 52,
  rom: 2 ** 31,
};

/** Exact, which a logarithm is not close to a power of two. @param size below 2^53 */
function powerOfTwoAtLeast(size: number): number {
  let power = 1;
  while (power < size) power *= 2;
  return power;
}

/**
 * The BARs of a type 0 device. Sizes come from the regions: no all-ones probe touches the device.
 * @returns what cannot be a BAR in `problems`; it is left out
 */
export function barsOf(
  config: Uint8Array,
  regions: readonly RegionInfo[],
): { readonly bars: readonly Bar[]; readonly problems: readonly string[] } {
  const bars: Bar[] = [];
  const problems: string[] = [];
  const add = (region: number, register: number, kind: BarKind, prefetchable: boolean): void => {
    const physicalSize = regions[region]?.size ?? 0;
    if (physicalSize === 0) return;
    if (!Number.isSafeInteger(physicalSize) || physicalSize > maximumSize[kind]) {
      problems.push(`BAR${region} (${kind}) cannot hold ${physicalSize} bytes`);
      return;
    }
    const size = Math.max(powerOfTwoAtLeast(physicalSize), minimumSize[kind]);
    bars.push({ region, register, kind, prefetchable, physicalSize, size });
  };
  for (let index = 0; index <= RegionIndex.bar5; index++) {
    const register = 0x10 + 4 * index;
    const low = config[register]!;
    const wide = (low & 0x7) === 0x4;
    if (low & 1) add(index, register, "io", false);
    else if (wide && index === RegionIndex.bar5)
      // Its upper half would be the CardBus CIS pointer.
      problems.push("BAR5 claims 64 bits, but there is no register for its upper half");
    else add(index, register, wide ? "memory64" : "memory32", (low & 8) !== 0);
    if (wide && index < RegionIndex.bar5) index++;
  }
  add(RegionIndex.rom, romRegister, "rom", false);
  return { bars, problems };
}

/** Bits of the BAR's registers that a guest can write, as one number below 2^64 in two halves. */
export function addressMask(bar: Bar): { readonly low: number; readonly high: number } {
  // -size in two's complement, computed in halves: 32-bit operators never see a 64-bit quantity.
  const low = bar.size >= 2 ** 32 ? 0 : (2 ** 32 - bar.size) >>> 0;
  const high = bar.kind === "memory64" ? (bar.size > 2 ** 32 ? 2 ** 32 - bar.size / 2 ** 32 : 0xffffffff) : 0;
  return { low, high };
}

/** The read-only bits of the BAR's low register. */
export function typeBits(bar: Bar): number {
  if (bar.kind === "io") return 1;
  if (bar.kind === "rom") return 0;
  return (bar.kind === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
}

/** The address that a BAR's registers hold; undefined above 2^53, where no guest memory can be. */
export function barAddress(bar: Bar, config: DataView): number | undefined {
  const low = config.getUint32(bar.register, true);
  const { low: mask } = addressMask(bar);
  const base = (low & mask) >>> 0;
  if (bar.kind !== "memory64") return base;
  const high = config.getUint32(bar.register + 4, true);
  return high < 2 ** 21 ? high * 2 ** 32 + base : undefined;
}

/** Puts an address into the BAR's registers, with its type bits; the ROM's enable bit stays. */
export function setBarAddress(bar: Bar, config: DataView, address: number): void {
  const keep = bar.kind === "rom" ? config.getUint32(bar.register, true) & 1 : typeBits(bar);
  config.setUint32(bar.register, (((address % 2 ** 32) >>> 0) | keep) >>> 0, true);
  if (bar.kind === "memory64") config.setUint32(bar.register + 4, Math.floor(address / 2 ** 32), true);
}

/** `BAR0`, `BAR4`, `ROM`. */
export const barName = (region: number): string => (region === RegionIndex.rom ? "ROM" : `BAR${region}`);
