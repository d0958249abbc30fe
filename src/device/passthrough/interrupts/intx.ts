// The INTx line: its way to the platform, and its unmasking after the guest has handled an interrupt.
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { trigger, turnOff, unmask } from "../../seam/irq-requests.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { ReportEvent } from "../../seam/events.ts";
import { StandingFault } from "../../seam/standing-fault.ts";
import type { IntxLine } from "../../seam/platform.ts";

/** How the device's line is unmasked after the guest handled an interrupt. */
export type IntxMode =
  /** The platform's resample eventfd is wired to the host: no system call of ours. */
  | "resample"
  /** The VMM calls `endOfInterrupt`. */
  | "notified"
  /** On each trapped access of the guest; BARs stay unmapped meanwhile, since a mapped access shows nothing. */
  | "access";

/** Level-triggered interrupts of one device. */
export class Intx {
  readonly mode: IntxMode;
  readonly #backend: DeviceBackend;
  readonly #line: IntxLine;
  readonly #faults: Readonly<Record<"enable" | "disable" | "disconnect" | "unmask", StandingFault>>;
  #enabled = false;
  /** The host has the line on: a request to turn it off may have failed. */
  #heldByHost = false;

  constructor(backend: DeviceBackend, line: IntxLine, report: ReportEvent) {
    this.#backend = backend;
    this.#line = line;
    const fault = (): StandingFault => new StandingFault(report, "interrupt-failed");
    this.#faults = { enable: fault(), disable: fault(), disconnect: fault(), unmask: fault() };
    this.mode =
      line.resample !== undefined ? "resample" : line.notifiesEndOfInterrupt ? "notified" : "access";
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** @returns whether the line works now; a failure is reported */
  enable(): boolean {
    if (this.#enabled) return true;
    const { eventfd, resample } = this.#line;
    try {
      // The guest's side first: an interrupt that comes at once finds its way.
      this.#line.connect();
      this.#backend.setIrqs(trigger(IrqIndex.intx, 0, [eventfd]));
      this.#heldByHost = true;
      this.#enabled = true;
      if (resample !== undefined) this.#backend.setIrqs(unmask(IrqIndex.intx, resample));
      this.#faults.enable.mended();
      return true;
    } catch (cause) {
      this.#faults.enable.tell("INTx cannot be enabled", cause);
      this.disable();
      return false;
    }
  }

  disable(): void {
    this.#enabled = false;
    if (this.#heldByHost) {
      try {
        this.#backend.setIrqs(turnOff(IrqIndex.intx));
        this.#heldByHost = false;
        this.#faults.disable.mended();
      } catch (cause) {
        this.#faults.disable.tell("INTx cannot be disabled", cause);
      }
    }
    try {
      this.#line.disconnect();
      this.#faults.disconnect.mended();
    } catch (cause) {
      this.#faults.disconnect.tell("INTx cannot be disconnected from the guest", cause);
    }
  }

  /** The guest has handled the interrupt: the host may deliver the next one. */
  endOfInterrupt(): void {
    if (!this.#enabled || this.mode === "resample") return;
    try {
      this.#backend.setIrqs(unmask(IrqIndex.intx));
      this.#faults.unmask.mended();
    } catch (cause) {
      this.#faults.unmask.tell("INTx cannot be unmasked", cause);
    }
  }

  /** After an access of the guest that trapped. */
  accessed(): void {
    if (this.mode === "access") this.endOfInterrupt();
  }

  [Symbol.dispose](): void {
    this.disable();
    this.#line[Symbol.dispose]();
  }
}
