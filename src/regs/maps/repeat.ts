import type { Register, Registers } from "../register.ts";

/** Registers of a layout whose number of entries only the device knows: named `entry0Name`, without static types. */
export function repeat(count: number, entry: (index: number) => Registers): Registers {
  const registers: Record<string, Register> = {};
  for (let index = 0; index < count; index++) Object.assign(registers, entry(index));
  return registers;
}

/** How many entries of `step` bytes fit from `base` to `limit`, at most `count`: a device may state any number. */
export const fitting = (count: number, limit: number, base: number, step: number): number =>
  Math.max(0, Math.min(count, Math.floor((limit - base) / step)));
