// Slots that can be emptied while the guest runs. The host asks: an interrupt has the guest read which slots (the methods in
// `acpi/dsdt.ts`); its driver lets go of the device, and the guest writes which slots are free.
import type { TrapTarget } from "bun-vfio/kvm";
import { ports } from "../layout.ts";
import { fill, numberOf } from "./pci-bus.ts";

const requested = ports.hotplug.base;
const ejected = ports.hotplug.base + 4;

export class Hotplug implements TrapTarget {
  readonly #interrupt: () => void;
  readonly #eject: (slot: number) => void;
  /** A bit a slot, 1 to 31. */
  #wanted = 0;

  /** @param interrupt an edge of the line that the guest listens to @param eject empties a slot */
  constructor(interrupt: () => void, eject: (slot: number) => void) {
    this.#interrupt = interrupt;
    this.#eject = eject;
  }

  /** Asks the guest for a device back. It may take its time, or not do it. */
  request(slot: number): void {
    this.#wanted = (this.#wanted | (1 << slot)) >>> 0;
    this.#interrupt();
  }

  ioRead(port: number, data: Uint8Array): void {
    data.fill(0);
    if (port !== requested) return;
    fill(data, this.#wanted);
    this.#wanted = 0;
  }

  ioWrite(port: number, data: Uint8Array): void {
    if (port !== ejected || data.length !== 4) return;
    const mask = numberOf(data);
    for (let slot = 1; slot < 32; slot++) if ((mask >>> slot) & 1) this.#eject(slot);
  }
}
