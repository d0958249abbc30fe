// The base address registers of a device: what they decode, how large, at which address.
import { ioBar, memoryBar } from "../../regs/maps/bar.ts";
import type { RegisterReference } from "../../regs/reference.ts";
import type { Register } from "../../regs/register.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { barRegisters, romAddress, romEnable, romRegister } from "./header-registers.ts";
import type { RegionShape } from "./region-shape.ts";

/** What a BAR decodes. */
export type BarKind = "io" | "memory32" | "memory64" | "rom";
type BarRegister = RegisterReference<Register<32>>;

/** A base address register, from the type bits in config space and the size that the region has. */
export interface Bar {
  /** Region index: 0 to 5, or 6 for the ROM. */
  readonly region: number;
  /** Where it is in config space; of 64 bits the lower half. */
  readonly register: BarRegister;
  /** The upper half of a 64-bit one. */
  readonly upper: BarRegister | undefined;
  /** What it decodes. */
  readonly kind: BarKind;
  /** Whether a read of it has no side effect, as the device says. */
  readonly prefetchable: boolean;
  /** Bytes behind it on the device. */
  readonly physicalSize: number;
  /** Bytes that the guest sees: a power of two, `physicalSize` or more. */
  readonly size: number;
}

const isIo = ioBar.field("low.ioSpace");
const memoryType = memoryBar.field("low.type");
const isPrefetchable = memoryBar.field("low.prefetchable");
/** What of a BAR's register says which kind of BAR it is. */
export const barTypeMask = isIo.mask | memoryType.mask | isPrefetchable.mask;
const lowAddress = {
  io: ioBar.field("low.address"),
  memory32: memoryBar.field("low.address"),
  memory64: memoryBar.field("low.address"),
  rom: romAddress,
} as const;

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
 * @param config all of config space, or its header
 * @returns what cannot be a BAR in `problems`; it is left out
 */
export function barsOf(
  config: Uint8Array,
  regions: readonly RegionShape[],
): { readonly bars: readonly Bar[]; readonly problems: readonly string[] } {
  const bars: Bar[] = [];
  const problems: string[] = [];
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const add = (region: number, register: BarRegister, kind: BarKind, prefetchable: boolean): void => {
    const physicalSize = regions[region]?.size ?? 0;
    if (physicalSize === 0) return;
    if (!Number.isSafeInteger(physicalSize) || physicalSize > maximumSize[kind]) {
      problems.push(`BAR${region} (${kind}) cannot hold ${physicalSize} bytes`);
      return;
    }
    const size = Math.max(powerOfTwoAtLeast(physicalSize), 2 ** lowAddress[kind].lo);
    const upper = kind === "memory64" ? barRegisters[region + 1] : undefined;
    bars.push({ region, register, upper, kind, prefetchable, physicalSize, size });
  };
  for (let index = RegionIndex.bar0 as number; index <= RegionIndex.bar5; index++) {
    const register = barRegisters[index]!;
    const low = register.read(memory);
    // In a BAR of I/O the bit is an address bit.
    const wide = !isIo.of(low) && memoryType.of(low) === "64-bit";
    if (isIo.of(low)) add(index, register, "io", false);
    else if (wide && index === RegionIndex.bar5)
      // Its upper half would be the CardBus CIS pointer.
      problems.push("BAR5 claims 64 bits, but there is no register for its upper half");
    else add(index, register, wide ? "memory64" : "memory32", isPrefetchable.of(low));
    if (wide && index < RegionIndex.bar5) index++;
  }
  add(RegionIndex.rom, romRegister, "rom", false);
  return { bars, problems };
}

/** Bits of the BAR's registers that a guest can write, as one number below 2^64 in two halves. */
export function addressMask(bar: Bar): { readonly low: number; readonly high: number } {
  // -size in two's complement, computed in halves: 32-bit operators never see a 64-bit quantity.
  const low = bar.size >= 2 ** 32 ? 0 : (2 ** 32 - bar.size) >>> 0;
  const high =
    bar.kind === "memory64" ? (bar.size > 2 ** 32 ? 2 ** 32 - bar.size / 2 ** 32 : 2 ** 32 - 1) : 0;
  return { low, high };
}

/** Bits of the low register that a guest can write: the address, and a ROM's enable bit. */
export const writableBits = (bar: Bar): number =>
  (addressMask(bar).low | (bar.kind === "rom" ? romEnable.mask : 0)) >>> 0;

/** Whether a ROM's register has it on. */
export const isRomEnabled = (bar: Bar, config: DataView): boolean => romEnable.of(bar.register.read(config));

/** The read-only bits of the BAR's low register. */
export function typeBits(bar: Bar): number {
  if (bar.kind === "io") return isIo.mask;
  if (bar.kind === "rom") return 0;
  const type = memoryType.with(0, bar.kind === "memory64" ? "64-bit" : "32-bit");
  return isPrefetchable.with(type, bar.prefetchable);
}

/** The address that a BAR's registers hold; undefined above 2^53, where no guest memory can be. */
export function barAddress(bar: Bar, config: DataView): number | undefined {
  const { low: mask } = addressMask(bar);
  const base = (bar.register.read(config) & mask) >>> 0;
  if (!bar.upper) return base;
  const high = bar.upper.read(config);
  return high < 2 ** 21 ? high * 2 ** 32 + base : undefined;
}

/**
 * Whether a register of the BAR holds ones alone in its address bits: the guest asks for the size, and puts the address back.
 */
export function isSized(bar: Bar, config: DataView): boolean {
  const { low, high } = addressMask(bar);
  const holds = (register: BarRegister, bits: number): boolean =>
    bits !== 0 && (register.read(config) & bits) >>> 0 === bits;
  return holds(bar.register, low) || (bar.upper !== undefined && holds(bar.upper, high));
}

/** Puts an address into the BAR's registers, with its type bits; the ROM's enable bit stays. */
export function setBarAddress(bar: Bar, config: DataView, address: number): void {
  const keep = bar.kind === "rom" ? bar.register.read(config) & romEnable.mask : typeBits(bar);
  bar.register.write(config, (((address % 2 ** 32) >>> 0) | keep) >>> 0);
  bar.upper?.write(config, Math.floor(address / 2 ** 32));
}

/** `BAR0`, `BAR4`, `ROM`. */
export const barName = (region: number): string => (region === RegionIndex.rom ? "ROM" : `BAR${region}`);
