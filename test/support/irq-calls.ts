// KVM's routing table and irqfds, as far as the logic above them can tell: what was set, and what would have been lost.
import type { MsiMessage } from "../../src/device/seam/platform.ts";
import { drainEventfd, isReadable } from "../../src/ffi/eventfd.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import type { IrqCalls } from "../../src/kvm/irq-calls.ts";

export class RecordedIrqCalls implements IrqCalls {
  /** Requests in order: `routing 2`, `on 24`, `off 24`. */
  readonly calls: string[] = [];
  routes: ReadonlyMap<number, MsiMessage> = new Map();
  /** GSI by eventfd. */
  readonly irqfds = new Map<number, number>();
  /** The request with this number, counted from 1, fails, and so many after it. */
  failAt: number | undefined;
  #times = 1;
  #count = 0;

  #step(what: string): void {
    this.#count++;
    const { failAt } = this;
    if (failAt !== undefined && this.#count >= failAt && this.#count < failAt + this.#times)
      throw new VfioError(`${what} was made to fail`, { code: "EIO" });
    this.calls.push(what);
  }

  /** Counts requests anew. */
  restart(failAt?: number, times = 1): void {
    this.calls.length = 0;
    this.#count = 0;
    this.#times = times;
    this.failAt = failAt;
  }

  setRouting(_: unknown, messages: ReadonlyMap<number, MsiMessage>): void {
    this.#step(`routing ${messages.size}`);
    this.routes = new Map(messages);
  }
  connect(eventfd: number, gsi: number, resample?: number): void {
    if (this.irqfds.has(eventfd)) throw new VfioError("the eventfd has an irqfd", { code: "EBUSY" });
    if (resample === undefined && !this.routes.has(gsi))
      throw new Error(`an irqfd for GSI ${gsi}, which has no route`);
    this.#step(`on ${gsi}`);
    this.irqfds.set(eventfd, gsi);
  }
  disconnect(eventfd: number, gsi: number): void {
    if (this.irqfds.get(eventfd) !== gsi) throw new Error(`no irqfd of ${eventfd} for GSI ${gsi}`);
    this.#step(`off ${gsi}`);
    this.irqfds.delete(eventfd);
  }

  /** What KVM injects now for events that wait in connected eventfds; KVM takes them when an irqfd is connected, too. */
  inject(): (MsiMessage | undefined)[] {
    return [...this.irqfds].flatMap(([eventfd, gsi]) => {
      if (!isReadable(eventfd)) return [];
      drainEventfd(eventfd);
      return [this.routes.get(gsi)];
    });
  }
}
