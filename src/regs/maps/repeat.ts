import type { Entry } from "../entries.ts";

/** Registers of a layout whose number of entries only the device knows: named `entry0Name`, without static types. */
export function repeat<E extends Entry>(
  count: number,
  entry: (index: number) => Readonly<Record<string, E>>,
): Readonly<Record<string, E>> {
  const registers: Record<string, E> = {};
  for (let index = 0; index < count; index++) Object.assign(registers, entry(index));
  return registers;
}

/** How many entries of `step` bytes fit from `base` to `limit`, at most `count`: a device may state any number. */
export const fitting = (count: number, limit: number, base: number, step: number): number =>
  Math.max(0, Math.min(count, Math.floor((limit - base) / step)));
