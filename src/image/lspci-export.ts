import { hexRow } from "./hex.ts";

/**
 * Writes devices as `lspci -xxxx` would: text that `lspci -F FILE` reads, and `readLspci`.
 * @param devices images, or anything else with a BDF and its config space
 */
export function writeLspci(devices: Iterable<{ readonly bdf: string; readonly config: Uint8Array }>): string {
  let text = "";
  for (const { bdf, config } of devices) {
    text += `${bdf} ${titleOf(config)}\n`;
    for (let at = 0; at < config.length; at += 16) text += `${hexRow(at, config.subarray(at, at + 16))}\n`;
    text += "\n";
  }
  return text;
}

/** As `lspci -n` has it: class, vendor and device, revision. */
function titleOf(config: Uint8Array): string {
  const hex = (...bytes: number[]): string =>
    bytes.map((at) => config[at]!.toString(16).padStart(2, "0")).join("");
  const revision = config[0x08] === 0 ? "" : ` (rev ${hex(0x08)})`;
  return `${hex(0x0b, 0x0a)}: ${hex(0x01, 0x00)}:${hex(0x03, 0x02)}${revision}`;
}
