// What a guest's writes set off, in words: each write's changes, told once.
import type { DescribedBar, DeviceDescription } from "../passthrough/describe.ts";
import { hex } from "../../regs/hex-text.ts";

const span = (base: number, size: number): string => `${hex(base)}-${hex(base + size - 1)}`;
const busMaster = 4;

/** Compares a device's states one after the other. */
export class ReplaySteps {
  #last: DeviceDescription;
  /** Where each BAR decoded last: one that comes back there is not told of in full again. */
  readonly #bases = new Map<number, number>();

  /** @param attached the device before the first write */
  constructor(attached: DeviceDescription) {
    this.#last = attached;
  }

  /** What changed since the last call. */
  since(now: DeviceDescription): string[] {
    const before = this.#last;
    this.#last = now;
    const steps = this.#bars(now.bars, before.bars);
    if (now.interrupts.mode !== before.interrupts.mode) steps.push(`interrupts: ${now.interrupts.mode}`);
    if ((now.command ^ before.command) & busMaster)
      steps.push(`bus master ${now.command & busMaster ? "on" : "off"}`);
    return steps;
  }

  #bars(bars: readonly DescribedBar[], before: readonly DescribedBar[]): string[] {
    const stopped: string[] = [];
    const back: string[] = [];
    const placed: string[] = [];
    for (const [i, bar] of bars.entries()) {
      if (bar.base === before[i]!.base) continue;
      if (bar.base === undefined) stopped.push(bar.name);
      else if (bar.base === this.#bases.get(bar.region)) back.push(bar.name);
      else {
        this.#bases.set(bar.region, bar.base);
        placed.push(`${bar.name} decodes ${span(bar.base, bar.size)}`);
        for (const { gpa, size, slot } of bar.mapped)
          placed.push(`${bar.name} mapped ${span(gpa, size)} in memory slot ${slot}`);
      }
    }
    if (stopped.length > 0)
      placed.unshift(`${stopped.join(", ")} ${stopped.length > 1 ? "stop" : "stops"} decoding`);
    if (back.length > 0)
      placed.push(`${back.join(", ")} ${back.length > 1 ? "decode" : "decodes"} there again`);
    return placed;
  }
}
