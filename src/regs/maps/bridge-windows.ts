// The windows of a bridge, from base and limit: PCI Express Base Specification 7.5.1.3.6 to 7.5.1.3.11.
import { composed, type ComposedValue } from "../derived.ts";
import { addressData, sizeText } from "../size-text.ts";

/** Addresses that a bridge hands on. */
export interface Window {
  readonly [name: string]: ComposedValue;
  /** In hexadecimal, with `0x`. */
  readonly base: string;
  /** The last byte, likewise. */
  readonly limit: string;
  /** Bits of the addresses: 16, 32 or 64. */
  readonly width: number;
  /** False where the base lies above the limit: then nothing is handed on. */
  readonly open: boolean;
}

/** @param limit the last byte @param width of the addresses, in bits */
export const windowOf = (base: bigint, limit: bigint, width: number): Window => ({
  base: addressData(base),
  limit: addressData(limit),
  width,
  open: base <= limit,
});

/** A window in words. */
export function windowText({ base, limit, width, open }: Window): string {
  const digits = (address: string): string => address.slice(2).padStart(width / 4, "0");
  const size = open ? `[size=${sizeText(BigInt(limit) - BigInt(base) + 1n)}]` : "[disabled]";
  return `${digits(base)}-${digits(limit)} ${size} [${width}-bit]`;
}

const wide = (upper: number, lower: number, shift: bigint, isWide: boolean): bigint =>
  (isWide ? BigInt(upper) << (shift === 12n ? 16n : 32n) : 0n) | (BigInt(lower) << shift);

/** Windows of a PCI-to-PCI bridge; the base says how wide both ends are, and the bits of an address field lie above its unit of 4 KiB, or of 1 MiB. */
export const bridgeWindows = {
  ioWindow: composed(
    ["ioBase.type", "ioBase.address", "ioBaseUpper", "ioLimit.address", "ioLimitUpper", "ioLimit.type"],
    (type, base, baseUpper, limit, limitUpper) => {
      const is32 = type === 1;
      return windowOf(
        wide(baseUpper!, base!, 12n, is32),
        wide(limitUpper!, limit!, 12n, is32) + 0xfffn,
        is32 ? 32 : 16,
      );
    },
    { label: "I/O behind bridge", text: windowText },
  ),
  memoryWindow: composed(
    ["memoryBase.address", "memoryLimit.address", "memoryBase.type", "memoryLimit.type"],
    (base, limit) => windowOf(BigInt(base!) << 20n, (BigInt(limit!) << 20n) + 0xfffffn, 32),
    { label: "Memory behind bridge", text: windowText },
  ),
  prefetchableWindow: composed(
    [
      "prefetchableBase.type",
      "prefetchableBase.address",
      "prefetchableBaseUpper",
      "prefetchableLimit.address",
      "prefetchableLimitUpper",
      "prefetchableLimit.type",
    ],
    (type, base, baseUpper, limit, limitUpper) => {
      const is64 = type === 1;
      return windowOf(
        wide(baseUpper!, base!, 20n, is64),
        wide(limitUpper!, limit!, 20n, is64) + 0xfffffn,
        is64 ? 64 : 32,
      );
    },
    { label: "Prefetchable memory behind bridge", text: windowText },
  ),
} as const;

/** A window of a CardBus bridge: PC Card Standard 8.0, volume 7, 4.5. */
const cardbusWindow = (
  base: string,
  limit: string,
  label: string,
  range: (base: bigint, limit: bigint) => Window,
) => composed([base, limit], (from, to) => range(BigInt(from!), BigInt(to!)), { label, text: windowText });

/** Windows of a CardBus bridge: two of memory in units of 4 KiB, two of I/O in units of 4 bytes. */
export const cardbusWindows = {
  memoryWindow0: cardbusWindow("memoryBase0", "memoryLimit0", "Memory window 0", (base, limit) =>
    windowOf(base, limit + 0xfffn, 32),
  ),
  memoryWindow1: cardbusWindow("memoryBase1", "memoryLimit1", "Memory window 1", (base, limit) =>
    windowOf(base, limit + 0xfffn, 32),
  ),
  ioWindow0: cardbusWindow("ioBase0", "ioLimit0", "I/O window 0", ioRange),
  ioWindow1: cardbusWindow("ioBase1", "ioLimit1", "I/O window 1", ioRange),
} as const;

/** Bit 0 of the base says whether 32 bits of the addresses count, or 16. */
function ioRange(base: bigint, limit: bigint): Window {
  const mask = base & 1n ? 0xffff_fffcn : 0xfffcn;
  return windowOf(base & mask, (limit & mask) + 3n, 32);
}
