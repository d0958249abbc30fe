// What the tests of the platform in memory share.
import { readSync, writeSync } from "node:fs";
import type { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import type { MsiMessage } from "../../../../src/device/seam/platform.ts";

export const message = (data: number, addressLow = 0xfee0_0000): MsiMessage => ({
  addressLow,
  addressHigh: 0,
  data,
  requesterId: 0x0100,
});
export const slot = { gpa: 0xc000_0000, size: 0x1000, hva: 0x7f00_0000_0000, readOnly: false };
/** What a kernel device does, which knows the number and nothing else. */
export const signal = (fd: number, count = 1n): number =>
  writeSync(fd, new Uint8Array(BigUint64Array.of(count).buffer));
/** Takes the events that wait in an eventfd; 0 where none does. */
export function drain(fd: number): bigint {
  const bytes = new Uint8Array(8);
  try {
    readSync(fd, bytes);
  } catch (error) {
    if ((error as { code?: unknown }).code === "EAGAIN") return 0n;
    throw error;
  }
  return new DataView(bytes.buffer).getBigUint64(0, true);
}
export const kinds = (platform: MemoryPlatform): string[] => platform.actions.map(({ kind }) => kind);
/** The code of the VfioError that a call throws. */
export function codeOf(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}
