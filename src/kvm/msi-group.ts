import type { MsiGroup, MsiMessage, VectorChange } from "../device/seam/platform.ts";
import { Eventfd } from "../ffi/eventfd.ts";
import { VfioError } from "../ffi/errors.ts";
import type { IrqCalls } from "./irq-calls.ts";
import type { RouteChange, RoutingTable } from "./routing-table.ts";

/** One vector. Its GSI is its own while it is routed; afterwards it is the one to ask for first. */
interface Vector {
  eventfd: Eventfd | undefined;
  gsi: number | undefined;
  /** Its irqfd is on. */
  routed: boolean;
}

interface Plan {
  readonly routes: RouteChange[];
  readonly withdrawn: number[];
  readonly fresh: number[];
}

/** The vectors of one MSI or MSI-X capability on KVM: eventfd, irqfd and route of each. Only routed vectors hold a GSI. */
export class KvmMsiGroup implements MsiGroup {
  readonly #calls: IrqCalls;
  readonly #table: RoutingTable;
  readonly #vectors: Vector[];
  readonly #onClose: () => void;
  #closed = false;

  constructor(calls: IrqCalls, table: RoutingTable, vectors: number, onClose: () => void) {
    this.#calls = calls;
    this.#table = table;
    this.#onClose = onClose;
    this.#vectors = Array.from({ length: vectors }, () => ({
      eventfd: undefined,
      gsi: undefined,
      routed: false,
    }));
  }

  #vector(index: number): Vector {
    if (this.#closed) throw new VfioError("the MSI group is closed", { code: "ECLOSED" });
    const vector = this.#vectors[index];
    if (!vector) throw new RangeError(`vector ${index} is not one of 0 to ${this.#vectors.length - 1}`);
    return vector;
  }

  #eventfd(index: number): Eventfd {
    return (this.#vector(index).eventfd ??= new Eventfd());
  }

  eventfd(vector: number): number {
    return this.#eventfd(vector).fd;
  }

  /** @throws VfioError, RangeError; then nothing has changed */
  update(changes: readonly VectorChange[]): void {
    const messages = new Map<number, MsiMessage | undefined>();
    for (const { vector, message } of changes) {
      this.#vector(vector);
      messages.set(vector, message);
    }
    // What undoes the steps done so far, the last one first.
    const undo: (() => void)[] = [];
    try {
      const { routes, withdrawn, fresh } = this.#plan(messages, undo);
      for (const index of withdrawn) {
        this.#disconnect(this.#vector(index));
        undo.push(() => this.#connect(index));
      }
      const before = this.#table.apply(routes);
      undo.push(() => this.#table.apply(before));
      // Routes before irqfds: an event of an irqfd without a route is lost.
      for (const index of fresh) {
        this.#connect(index);
        undo.push(() => this.#disconnect(this.#vector(index)));
      }
    } catch (error) {
      throw rollBack(undo, error);
    }
  }

  /**
   * What an update comes to, and the GSIs that it needs, before anything is asked of KVM. Vectors that are routed may get the
   * GSIs of those that are withdrawn with them.
   */
  #plan(messages: ReadonlyMap<number, MsiMessage | undefined>, undo: (() => void)[]): Plan {
    const plan: Plan = { routes: [], withdrawn: [], fresh: [] };
    for (const [index, message] of messages) {
      const { gsi, routed } = this.#vector(index);
      if (message || !routed) continue;
      this.#table.release(gsi!);
      undo.push(() => this.#table.claim(gsi));
      plan.withdrawn.push(index);
      plan.routes.push({ gsi: gsi!, message });
    }
    for (const [index, message] of messages) {
      if (!message) continue;
      const vector = this.#vector(index);
      if (!vector.routed) {
        const gsi = this.#table.claim(vector.gsi);
        undo.push(() => this.#table.release(gsi));
        vector.gsi = gsi;
        plan.fresh.push(index);
      }
      plan.routes.push({ gsi: vector.gsi!, message });
    }
    return plan;
  }

  #connect(index: number): void {
    const vector = this.#vector(index);
    this.#calls.connect(this.#eventfd(index).fd, vector.gsi!);
    vector.routed = true;
  }

  #disconnect(vector: Vector): void {
    this.#calls.disconnect(vector.eventfd!.fd, vector.gsi!);
    vector.routed = false;
  }

  pending(vector: number): boolean {
    const { eventfd, routed } = this.#vector(vector);
    return !routed && eventfd !== undefined && eventfd.isReady();
  }

  discard(vector: number): void {
    this.#vector(vector).eventfd?.drain();
  }

  signal(vector: number): void {
    this.#eventfd(vector).signal();
  }

  /** Takes all irqfds off, then closes the eventfds. Safe to call twice. @throws the first failure, after all is done that could be */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    const failures: unknown[] = [];
    for (const vector of this.#vectors) {
      try {
        if (vector.routed) this.#disconnect(vector);
        else continue;
        this.#table.apply([{ gsi: vector.gsi!, message: undefined }]);
        this.#table.release(vector.gsi!);
      } catch (error) {
        failures.push(error);
      }
    }
    this.#closed = true;
    for (const { eventfd } of this.#vectors) eventfd?.[Symbol.dispose]();
    this.#onClose();
    if (failures.length > 0) throw failures[0];
  }
}

/** @returns the error to throw: the first, or with those of the undoing */
function rollBack(undo: readonly (() => void)[], error: unknown): unknown {
  const failures: unknown[] = [];
  for (const step of undo.toReversed())
    try {
      step();
    } catch (failure) {
      failures.push(failure);
    }
  return failures.length === 0
    ? error
    : new AggregateError([error, ...failures], "an interrupt update failed, and so did taking it back");
}
