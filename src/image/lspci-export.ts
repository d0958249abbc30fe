import type { ImageArea } from "./image.ts";
import { isUnknown, noGaps, type Gaps } from "../regs/gaps.ts";
import { hexRow } from "./hex.ts";
import { hexDigits } from "../regs/hex-text.ts";

/** A device as a dump shows it. */
export interface DumpedDevice {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** 64, 256 or 4096 bytes. */
  readonly config: Uint8Array;
  /** Bytes of `config` that nobody read: rows leave them out. */
  readonly unknown?: { readonly config?: readonly ImageArea[] | undefined } | undefined;
}

/**
 * Writes devices as `lspci -xxxx` would: text that `lspci -F FILE` reads, and `readLspci`.
 * @param devices images, or anything else with a BDF and its config space
 */
export function writeLspci(devices: Iterable<DumpedDevice>): string {
  let text = "";
  for (const device of devices) text += lspciDevice(device);
  return text;
}

/** One device of what `writeLspci` writes. */
export function lspciDevice({ bdf, config, unknown }: DumpedDevice): string {
  const gaps = unknown?.config ?? noGaps;
  let text = `${bdf} ${titleOf(config, gaps)}\n`;
  let at = 0;
  const rows = (end: number): void => {
    for (let next = 0; at < end; at = next) {
      next = Math.min(end, (at & ~15) + 16);
      text += `${hexRow(at, config.subarray(at, next))}\n`;
    }
  };
  for (const { offset, size } of gaps) {
    rows(offset);
    at = offset + size;
  }
  rows(config.length);
  return `${text}\n`;
}

/** As `lspci -n` has it: class, vendor and device, revision; of what is unknown `??`. */
function titleOf(config: Uint8Array, gaps: Gaps): string {
  const digit = (at: number): string => (isUnknown(gaps, at, 1) ? "??" : hexDigits(config[at]!, 2));
  const digits = (...bytes: number[]): string => bytes.map(digit).join("");
  const revision = config[0x08] === 0 ? "" : ` (rev ${digits(0x08)})`;
  return `${digits(0x0b, 0x0a)}: ${digits(0x01, 0x00)}:${digits(0x03, 0x02)}${revision}`;
}
