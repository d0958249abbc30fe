import type { MsiGroup, MsiMessage, VectorChange } from "../device/seam/platform.ts";
import { Eventfd } from "../ffi/eventfd.ts";
import { VfioError } from "../ffi/errors.ts";
import type { IrqCalls } from "./irq-calls.ts";
import type { RouteChange, RoutingTable } from "./routing-table.ts";
import { messageOf } from "../regs/message-of.ts";

/** One vector. Its GSI is its own while it is routed; afterwards it is the one to ask for first. */
interface Vector {
  eventfd: Eventfd | undefined;
  gsi: number | undefined;
  /** Its irqfd is on. */
  routed: boolean;
}

interface RoutingUpdate {
  readonly routes: RouteChange[];
  readonly withdrawn: number[];
  readonly fresh: number[];
}

/** What was done of an update. */
interface Done {
  /** Vectors whose irqfds were put on. */
  readonly on: number[];
  /** What takes the routes back. */
  before: readonly RouteChange[] | undefined;
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

  /**
   * @throws VfioError, RangeError; then nothing has changed, but for a vector that KVM lets neither go on nor back. Its state is
   * what KVM has, and the next update goes on from there.
   */
  update(changes: readonly VectorChange[]): void {
    const messages = new Map<number, MsiMessage | undefined>();
    for (const { vector, message } of changes) {
      this.#vector(vector);
      messages.set(vector, message);
    }
    const plan = this.#plan(messages);
    const done: Done = { on: [], before: undefined };
    try {
      for (const index of plan.withdrawn) this.#disconnect(this.#vector(index));
      done.before = this.#table.apply(plan.routes);
      // Routes before irqfds: an event of an irqfd without a route is lost.
      for (const index of plan.fresh) {
        this.#connect(index);
        done.on.push(index);
      }
    } catch (error) {
      throw this.#takeBack(plan, done, error);
    }
  }

  /**
   * What an update comes to, and the GSIs that it needs, before anything is asked of KVM. Vectors that are routed may get the
   * GSIs of those that are withdrawn with them. @throws VfioError (`ENOSPC`); then no GSI has changed hands
   */
  #plan(messages: ReadonlyMap<number, MsiMessage | undefined>): RoutingUpdate {
    const plan: RoutingUpdate = { routes: [], withdrawn: [], fresh: [] };
    for (const [index, message] of messages) {
      const { gsi, routed } = this.#vector(index);
      if (message || !routed) continue;
      this.#table.release(gsi!);
      plan.withdrawn.push(index);
      plan.routes.push({ gsi: gsi!, message });
    }
    try {
      for (const [index, message] of messages) {
        if (!message) continue;
        const vector = this.#vector(index);
        if (!vector.routed) {
          vector.gsi = this.#table.claim(vector.gsi);
          plan.fresh.push(index);
        }
        plan.routes.push({ gsi: vector.gsi!, message });
      }
    } catch (error) {
      for (const index of plan.fresh) this.#table.release(this.#vector(index).gsi!);
      for (const index of plan.withdrawn) this.#table.claim(this.#vector(index).gsi);
      throw error;
    }
    return plan;
  }

  /** Takes back what was done of an update. @returns the error to throw: that of the update, with those of the undoing */
  #takeBack({ withdrawn, fresh }: RoutingUpdate, { on, before }: Done, error: unknown): unknown {
    const failures: unknown[] = [];
    const tried = (step: () => unknown): boolean => {
      try {
        step();
        return true;
      } catch (failure) {
        failures.push(failure);
        return false;
      }
    };
    // One that KVM keeps on is routed from now on, by its new message.
    const stuck = new Set(on.filter((index) => !tried(() => this.#disconnect(this.#vector(index)))));
    const gsis = new Set([...stuck].map((index) => this.#vector(index).gsi!));
    const routes = before?.filter(({ gsi }) => !gsis.has(gsi)) ?? [];
    const restored = tried(() => this.#table.apply(routes));
    for (const index of fresh)
      if (stuck.has(index)) continue;
      else if (restored) this.#table.release(this.#vector(index).gsi!);
      else this.#forget(index);
    for (const index of withdrawn) {
      const { gsi, routed } = this.#vector(index);
      // Without its route of before, or its GSI, an irqfd would send what is another's, or nothing.
      const back = routed || (restored && !gsis.has(gsi!) && tried(() => this.#connect(index)));
      if (back) this.#table.claim(gsi);
      else if (!gsis.has(gsi!)) this.#forget(index);
    }
    return failures.length === 0 ? error : withUndoing(error, failures);
  }

  /** A vector without an irqfd has no GSI, and no route. */
  #forget(index: number): void {
    const gsi = this.#vector(index).gsi!;
    this.#table.apply([{ gsi, message: undefined }]);
    this.#table.release(gsi);
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

  release(vector: number): void {
    const one = this.#vector(vector);
    if (one.routed) return;
    one.eventfd?.[Symbol.dispose]();
    one.eventfd = undefined;
  }

  discard(vector: number): void {
    this.#vector(vector).eventfd?.drain();
  }

  signal(vector: number): void {
    this.#eventfd(vector).signal();
  }

  /**
   * Takes all irqfds off, then closes the eventfds. Safe to call twice.
   * @throws VfioError the first irqfd that KVM keeps, after all is done that could be: its machine tries again
   */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#table.settle();
    const failures: unknown[] = [];
    this.#vectors.forEach((vector, index) => {
      const { eventfd, gsi, routed } = vector;
      try {
        if (routed) {
          this.#disconnect(vector);
          this.#forget(index);
        }
        eventfd?.[Symbol.dispose]();
      } catch (error) {
        failures.push(error);
        this.#table.keep({ gsi: gsi!, eventfd: eventfd! });
      }
    });
    this.#closed = true;
    this.#onClose();
    if (failures.length > 0) throw failures[0];
  }
}

/** The error of an update that could not be taken back either: what it says is what came first. */
function withUndoing(error: unknown, failures: readonly unknown[]): Error {
  const all = new AggregateError(
    [error, ...failures],
    "an interrupt update failed, and so did taking it back",
  );
  if (!(error instanceof VfioError)) return all;
  const { message, code, errno, syscall, request, device, hint } = error;
  const details = { code, errno, syscall, request, device, hint, cause: all };
  return new VfioError(`${message}; taking the update back fails too: ${messageOf(failures[0])}`, details);
}
