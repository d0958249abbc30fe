// How a modelled device interrupts: by the kind that the guest has turned on.
import { IrqIndex } from "../../../regs/vfio/irqs.ts";

/** What a function offers for it; `HostedFunction` is one. */
export interface InterruptingFunction {
  /** The kind of interrupts that is on; undefined for none. */
  readonly activeIrq: number | undefined;
  raise(index: number, vector: number): boolean;
  setIntx(asserted: boolean): void;
}

/** The interrupts of one device. */
export class ModelInterrupts {
  readonly #function: () => InterruptingFunction;

  constructor(of: () => InterruptingFunction) {
    this.#function = of;
  }

  /** The kind that the guest has turned on. */
  get mode(): "none" | "INTx" | "MSI" | "MSI-X" {
    switch (this.#function().activeIrq) {
      case IrqIndex.intx:
        return "INTx";
      case IrqIndex.msi:
        return "MSI";
      case IrqIndex.msix:
        return "MSI-X";
      default:
        return "none";
    }
  }

  /** Sends the message of a vector. A masked one waits. @returns false where no messages are on, or the vector is not there */
  send(vector: number): boolean {
    const { activeIrq } = this.#function();
    if (activeIrq !== IrqIndex.msi && activeIrq !== IrqIndex.msix) return false;
    return this.#function().raise(activeIrq, vector);
  }

  /** Holds the INTx line asserted, or lets it go: as long as it is asserted the guest hears it again. */
  setLine(asserted: boolean): void {
    this.#function().setIntx(asserted);
  }
}
