// The processor's own counter, which runs at one rate whatever the processor does: the cheapest clock there is.
import { linkSymbols, type Pointer } from "bun:ffi";
import { executable } from "./libc.ts";
import type { Architecture } from "./system-call-table.ts";

/** A clock for stamps: `now` is a number that grows by `perSecond` a second. */
export interface CycleCounter {
  now(): number;
  readonly perSecond: number;
}

/**
 * A C function without arguments that returns the counter as a double (Intel SDM, volume 2, RDTSC; Arm ARM, CNTVCT_EL0).
 * A double holds it exactly for 2^53 ticks: a month at 3 GHz.
 */
export function counterCode(architecture: Architecture): Uint8Array {
  if (architecture === "x64")
    return Uint8Array.of(
      ...[0x0f, 0x31], // rdtsc
      ...[0x48, 0xc1, 0xe2, 0x20], // shl rdx, 32
      ...[0x48, 0x09, 0xd0], // or rax, rdx
      ...[0xf2, 0x48, 0x0f, 0x2a, 0xc0], // cvtsi2sd xmm0, rax
      0xc3, // ret
    );
  const code = new DataView(new ArrayBuffer(12));
  code.setUint32(0, 0xd53b_e040, true); // mrs x0, cntvct_el0
  code.setUint32(4, 0x9e62_0000, true); // scvtf d0, x0
  code.setUint32(8, 0xd65f_03c0, true); // ret
  return new Uint8Array(code.buffer);
}

/** Long enough for the rate to be right to a part in a thousand. In milliseconds. */
const measured = 2;

function rateOf(now: () => number): number {
  const [start, since] = [now(), performance.now()];
  let elapsed = 0;
  while (elapsed < measured) elapsed = performance.now() - since;
  return ((now() - start) / elapsed) * 1000;
}

/** Microseconds, where no code of our own may run. */
const plain: CycleCounter = { now: () => performance.now() * 1000, perSecond: 1e6 };

let made: CycleCounter | undefined;

/** The counter of this machine; made, and its rate measured, when first asked for, which takes 2 ms. */
export function cycleCounter(): CycleCounter {
  if (made) return made;
  const { arch } = process;
  const address = arch === "x64" || arch === "arm64" ? executable(counterCode(arch)) : undefined;
  if (address === undefined) return (made = plain);
  const { now } = linkSymbols({
    now: { args: [], returns: "f64", ptr: address as Pointer },
  }).symbols;
  return (made = { now, perSecond: rateOf(now) });
}
