import type { IntxLine } from "../device/seam/platform.ts";
import { Eventfd } from "../ffi/eventfd.ts";
import type { IrqCalls } from "./irq-calls.ts";
import type { RoutingTable } from "./routing-table.ts";

/** An interrupt line of a device, tied to a pin of the interrupt chip by a level-triggered irqfd (KVM_IRQFD_FLAG_RESAMPLE). */
export class KvmIntxLine implements IntxLine {
  /** The GSI that the line asserts; several lines may share one. */
  readonly gsi: number;
  readonly #calls: IrqCalls;
  readonly #table: RoutingTable;
  readonly #assert: Eventfd;
  readonly #resample: Eventfd | undefined;
  readonly #onClose: () => void;
  #connected = false;
  #closed = false;

  /** @param resamples whether KVM can say that the guest has handled the interrupt (KVM_CAP_IRQFD_RESAMPLE) */
  constructor(calls: IrqCalls, table: RoutingTable, gsi: number, resamples: boolean, onClose: () => void) {
    this.gsi = gsi;
    this.#calls = calls;
    this.#table = table;
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

  /** Disconnects, then closes the eventfds. Safe to call twice. @throws VfioError where KVM keeps the irqfd: the machine tries again */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.#table.settle();
    try {
      this.disconnect();
    } catch (error) {
      this.#table.keep({ gsi: this.gsi, eventfd: this.#assert, resample: this.#resample });
      throw error;
    }
    this.#assert[Symbol.dispose]();
    this.#resample?.[Symbol.dispose]();
  }
}
