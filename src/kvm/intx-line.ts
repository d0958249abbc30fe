import type { IntxLine } from "../device/seam/platform.ts";
import { Eventfd } from "../ffi/eventfd.ts";
import type { IrqCalls } from "./irq-calls.ts";

/** An interrupt line of a device, tied to a pin of the interrupt chip by a level-triggered irqfd (KVM_IRQFD_FLAG_RESAMPLE). */
export class KvmIntxLine implements IntxLine {
  /** The GSI that the line asserts; several lines may share one. */
  readonly gsi: number;
  readonly #calls: IrqCalls;
  readonly #assert: Eventfd;
  readonly #resample: Eventfd | undefined;
  readonly #onClose: () => void;
  #connected = false;
  #closed = false;

  /** @param resamples whether KVM can say that the guest has handled the interrupt (KVM_CAP_IRQFD_RESAMPLE) */
  constructor(calls: IrqCalls, gsi: number, resamples: boolean, onClose: () => void) {
    this.gsi = gsi;
    this.#calls = calls;
    this.#onClose = onClose;
    this.#assert = new Eventfd();
    try {
      this.#resample = resamples ? new Eventfd() : undefined;
    } catch (error) {
      this.#assert[Symbol.dispose]();
      throw error;
    }
  }

  get eventfd(): number {
    return this.#assert.fd;
  }
  get resample(): number | undefined {
    return this.#resample?.fd;
  }

  /** @throws VfioError */
  connect(): void {
    if (this.#connected) return;
    this.#calls.connect(this.#assert.fd, this.gsi, this.#resample?.fd);
    this.#connected = true;
  }

  /** The line is low afterwards. @throws VfioError */
  disconnect(): void {
    if (!this.#connected) return;
    this.#calls.disconnect(this.#assert.fd, this.gsi);
    this.#connected = false;
  }

  /** Disconnects, then closes the eventfds; KVM lets go of an irqfd whose eventfd is closed, so nothing stays in any case. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.disconnect();
    } finally {
      this.#assert[Symbol.dispose]();
      this.#resample?.[Symbol.dispose]();
      this.#onClose();
    }
  }
}
