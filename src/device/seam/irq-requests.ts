// VFIO_DEVICE_SET_IRQS requests by what they are for: model, drivers and self-test ask for the same few things.
import type { IrqRequest } from "../../regs/vfio/irqs.ts";

/** In place of an eventfd: the vector has none. */
export const unarmed = -1;

/** Turns an interrupt index off. */
export const turnOff = (index: number): IrqRequest => ({
  index,
  action: "trigger",
  start: 0,
  data: { kind: "none", count: 0 },
});

/** Has vectors from `start` on signal eventfds, or none where one is `unarmed`. */
export const trigger = (index: number, start: number, fds: readonly number[]): IrqRequest => ({
  index,
  action: "trigger",
  start,
  data: { kind: "eventfd", fds },
});

/** Has the host signal a vector's eventfd as the device would. */
export const raise = (index: number, vector: number): IrqRequest => ({
  index,
  action: "trigger",
  start: vector,
  data: { kind: "bool", values: [true] },
});

/** Unmasks a level-triggered line: now, or whenever `eventfd` is signalled. */
export const unmask = (index: number, eventfd?: number): IrqRequest => ({
  index,
  action: "unmask",
  start: 0,
  data: eventfd === undefined ? { kind: "none", count: 1 } : { kind: "eventfd", fds: [eventfd] },
});

/** Ascending numbers, as runs of neighbours: one request carries one run. */
export function runsOf(numbers: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.at(-1) === number - 1) run.push(number);
    else runs.push([number]);
  }
  return runs;
}
