import { Eventfd } from "../../../ffi/eventfd.ts";
import type { IntxLine } from "../../seam/platform.ts";
import { type Journal, refuse } from "./journal.ts";

/** How the guest's end of an interrupt gets back to the device. */
export type EndOfInterrupt = "resample" | "notify" | "none";

/** An INTx line as it is now. */
export interface LineState {
  /** As the platform counts them. */
  readonly line: number;
  /** 1 to 4 for INTA to INTD. */
  readonly pin: number;
  /** Whether the device's interrupts reach it. */
  readonly connected: boolean;
  /** The guest sees the line high and has not handled the interrupt. */
  readonly asserted: boolean;
  /** How often the line went high. */
  readonly assertions: number;
}

/** A level-triggered line: high from an event of the device until the guest's end of interrupt. */
export class Line implements IntxLine {
  readonly line: number;
  readonly pin: number;
  readonly notifiesEndOfInterrupt: boolean;
  readonly #journal: Journal;
  readonly #trigger: Eventfd;
  readonly #resample: Eventfd | undefined;
  readonly #closed: () => void;
  #open = true;
  #connected = false;
  #asserted = false;
  #assertions = 0;

  constructor(line: number, pin: number, end: EndOfInterrupt, journal: Journal, closed: () => void) {
    this.line = line;
    this.pin = pin;
    this.notifiesEndOfInterrupt = end === "notify";
    this.#journal = journal;
    this.#closed = closed;
    this.#trigger = new Eventfd();
    try {
      this.#resample = end === "resample" ? new Eventfd() : undefined;
    } catch (cause) {
      this.#trigger[Symbol.dispose]();
      throw cause;
    }
  }

  get eventfd(): number {
    this.#check();
    return this.#trigger.fd;
  }

  get resample(): number | undefined {
    this.#check();
    return this.#resample?.fd;
  }

  connect(): void {
    this.#check();
    if (this.#connected) return;
    this.#journal.perform({ kind: "intx-connect", line: this.line }, () => {
      this.#connected = true;
    });
    this.deliver();
  }

  disconnect(): void {
    if (!this.#connected) return;
    this.deliver();
    this.#journal.perform({ kind: "intx-disconnect", line: this.line }, () => {
      this.#connected = false;
      this.#asserted = false;
    });
  }

  /** Takes the device's event, if one waits and the line is connected. */
  deliver(): void {
    if (!this.#connected || !this.#trigger.isReady()) return;
    this.#trigger.drain();
    if (this.#asserted) return;
    this.#asserted = true;
    this.#assertions++;
  }

  /** The guest has handled the interrupt. @throws VfioError if it has none to handle */
  endOfInterrupt(): void {
    this.#check();
    this.deliver();
    if (!this.#asserted)
      throw refuse("EINVAL", `INTx line ${this.line} is not asserted: there is no interrupt to end`);
    this.#asserted = false;
    this.#resample?.signal();
  }

  state(): LineState {
    return {
      line: this.line,
      pin: this.pin,
      connected: this.#connected,
      asserted: this.#asserted,
      assertions: this.#assertions,
    };
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.disconnect();
    this.#journal.perform({ kind: "intx-close", line: this.line }, () => this.abandon());
    this.#closed();
  }

  /** Closes the eventfds and nothing else. */
  abandon(): void {
    this.#open = this.#connected = this.#asserted = false;
    this.#trigger[Symbol.dispose]();
    this.#resample?.[Symbol.dispose]();
  }

  #check(): void {
    this.#journal.check();
    if (!this.#open) throw refuse("ECLOSED", `INTx line ${this.line} has been closed`);
  }
}
