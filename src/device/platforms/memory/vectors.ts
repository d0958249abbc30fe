import { Eventfd } from "../../../ffi/eventfd.ts";
import type { MsiGroup, MsiMessage, VectorChange } from "../../seam/platform.ts";
import type { DeliveredInterrupt, PlatformAction } from "./action.ts";
import type { Irqchip, Route } from "./irqchip.ts";
import { type Journal, refuse } from "./journal.ts";

/** One step of an update, and how to take it back. */
interface Step {
  readonly action: PlatformAction;
  run(): void;
  readonly undoAction: PlatformAction;
  undo(): void;
}

const sameMessage = (a: MsiMessage, b: MsiMessage): boolean =>
  a.addressLow === b.addressLow &&
  a.addressHigh === b.addressHigh &&
  a.data === b.data &&
  a.requesterId === b.requesterId;

function checkMessage(vector: number, message: MsiMessage): void {
  for (const name of ["addressLow", "addressHigh", "data", "requesterId"] as const) {
    const value = message[name];
    if (typeof value !== "number") throw new TypeError(`${name} of vector ${vector} must be a number`);
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new RangeError(`${name} of vector ${vector} must be an integer of 32 bits, not ${value}`);
  }
}

/** The vectors of one capability, with real eventfds and the platform's routing table. */
export class Vectors implements MsiGroup {
  readonly group: number;
  readonly count: number;
  readonly #firstGsi: number;
  readonly #journal: Journal;
  readonly #irqchip: Irqchip;
  readonly #inject: (interrupt: DeliveredInterrupt) => void;
  readonly #closed: () => void;
  readonly #eventfds = new Map<number, Eventfd>();
  #open = true;

  constructor(
    group: { readonly group: number; readonly count: number; readonly firstGsi: number },
    journal: Journal,
    irqchip: Irqchip,
    inject: (interrupt: DeliveredInterrupt) => void,
    closed: () => void,
  ) {
    this.group = group.group;
    this.count = group.count;
    this.#firstGsi = group.firstGsi;
    this.#journal = journal;
    this.#irqchip = irqchip;
    this.#inject = inject;
    this.#closed = closed;
  }

  /** How many eventfds are open. */
  get eventfds(): number {
    return this.#eventfds.size;
  }

  eventfd(vector: number): number {
    this.#check(vector);
    return this.#eventfd(vector).fd;
  }

  pending(vector: number): boolean {
    this.#check(vector);
    return !this.#irqchip.hasIrqfd(this.#gsi(vector)) && (this.#eventfds.get(vector)?.isReady() ?? false);
  }

  release(vector: number): void {
    this.#check(vector);
    const eventfd = this.#eventfds.get(vector);
    if (!eventfd || this.#irqchip.hasIrqfd(this.#gsi(vector))) return;
    const action: PlatformAction = { kind: "eventfd-close", group: this.group, vector };
    this.#journal.always(action, () => eventfd[Symbol.dispose]());
    this.#eventfds.delete(vector);
  }

  discard(vector: number): void {
    this.#check(vector);
    this.#eventfds.get(vector)?.drain();
  }

  signal(vector: number): void {
    this.#check(vector);
    const eventfd = this.#eventfd(vector);
    this.#journal.perform({ kind: "eventfd-signal", group: this.group, vector }, () => eventfd.signal());
  }

  update(changes: readonly VectorChange[]): void {
    const seen = new Set<number>();
    const table = new Map<number, Route | undefined>();
    const off: number[] = [];
    const on: number[] = [];
    for (const { vector, message } of changes) {
      this.#check(vector);
      if (seen.has(vector)) throw new RangeError(`vector ${vector} is there twice in one update`);
      seen.add(vector);
      if (message) checkMessage(vector, message);
      const old = this.#irqchip.route(this.#gsi(vector))?.message;
      if (!message ? !old : old && sameMessage(old, message)) continue;
      table.set(this.#gsi(vector), message && this.#route(vector, message));
      if (!message) off.push(vector);
      else if (!old) on.push(vector);
    }
    if (table.size === 0) return;
    this.#irqchip.checkRoom(this.#irqchip.routes - off.length + on.length);
    for (const vector of on) this.#eventfd(vector);
    // What came before the change was injected before it, with the old message.
    for (const gsi of table.keys()) this.#take(gsi - this.#firstGsi);
    this.#run([
      ...off.map((vector) => this.#irqfdStep("off", vector)),
      this.#tableStep(table),
      ...on.map((vector) => this.#irqfdStep("on", vector)),
    ]);
    // What waited for a route is injected at once.
    for (const vector of on) this.#take(vector);
  }

  /** Injects what waits in the eventfds of routed vectors. */
  deliver(): void {
    for (const vector of this.#eventfds.keys()) this.#take(vector);
  }

  /** Each step asks what is left to do: after one that failed a second call goes on. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.deliver();
    const { group } = this;
    const table = new Map<number, undefined>();
    for (let vector = 0; vector < this.count; vector++) {
      const gsi = this.#gsi(vector);
      if (this.#irqchip.hasIrqfd(gsi))
        this.#journal.perform({ kind: "irqfd-off", group, vector }, () => this.#irqchip.irqfdOff(gsi));
      if (this.#irqchip.route(gsi)) table.set(gsi, undefined);
    }
    if (table.size > 0)
      this.#journal.perform({ kind: "set-routing", routes: this.#irqchip.routes - table.size }, () =>
        this.#irqchip.setRouting(table),
      );
    this.#journal.perform({ kind: "msi-close", group }, () => this.abandon());
    this.#closed();
  }

  /** Closes the eventfds and nothing else: the routing table goes with the platform. */
  abandon(): void {
    this.#open = false;
    for (const eventfd of this.#eventfds.values()) eventfd[Symbol.dispose]();
    this.#eventfds.clear();
  }

  #take(vector: number): void {
    const gsi = this.#gsi(vector);
    const route = this.#irqchip.hasIrqfd(gsi) ? this.#irqchip.route(gsi) : undefined;
    const eventfd = this.#eventfds.get(vector);
    if (!route || !eventfd?.isReady()) return;
    // However often it was signalled: an irqfd injects once for what it finds.
    eventfd.drain();
    const { message } = route;
    this.#inject({ requesterId: message.requesterId, group: this.group, vector, message });
  }

  #gsi(vector: number): number {
    return this.#firstGsi + vector;
  }

  #route(vector: number, { addressLow, addressHigh, data, requesterId }: MsiMessage): Route {
    return { group: this.group, vector, message: { addressLow, addressHigh, data, requesterId } };
  }

  #eventfd(vector: number): Eventfd {
    let eventfd = this.#eventfds.get(vector);
    if (!eventfd) {
      eventfd = this.#journal.perform(
        { kind: "eventfd-create", group: this.group, vector },
        () => new Eventfd(),
      );
      this.#eventfds.set(vector, eventfd);
    }
    return eventfd;
  }

  #irqfdStep(way: "on" | "off", vector: number): Step {
    const gsi = this.#gsi(vector);
    const on = (): void => this.#irqchip.irqfdOn(gsi);
    const off = (): void => this.#irqchip.irqfdOff(gsi);
    const onAction: PlatformAction = { kind: "irqfd-on", group: this.group, vector };
    const offAction: PlatformAction = { kind: "irqfd-off", group: this.group, vector };
    return way === "on"
      ? { action: onAction, run: on, undoAction: offAction, undo: off }
      : { action: offAction, run: off, undoAction: onAction, undo: on };
  }

  #tableStep(table: ReadonlyMap<number, Route | undefined>): Step {
    const before = new Map([...table.keys()].map((gsi) => [gsi, this.#irqchip.route(gsi)]));
    let routes = this.#irqchip.routes;
    const undoAction: PlatformAction = { kind: "set-routing", routes };
    for (const [gsi, route] of table)
      routes += Number(route !== undefined) - Number(before.get(gsi) !== undefined);
    return {
      action: { kind: "set-routing", routes },
      run: () => this.#irqchip.setRouting(table),
      undoAction,
      undo: () => this.#irqchip.setRouting(before),
    };
  }

  /** All steps or none. */
  #run(steps: readonly Step[]): void {
    const done: Step[] = [];
    try {
      for (const step of steps) {
        this.#journal.perform(step.action, () => step.run());
        done.push(step);
      }
    } catch (cause) {
      for (const step of done.reverse()) this.#journal.always(step.undoAction, () => step.undo());
      throw cause;
    }
  }

  #check(vector: number): void {
    this.#journal.check();
    if (!this.#open) throw refuse("ECLOSED", `MSI group ${this.group} has been closed`);
    if (typeof vector !== "number") throw new TypeError(`vector must be a number, not ${typeof vector}`);
    if (!Number.isInteger(vector) || vector < 0 || vector >= this.count)
      throw new RangeError(`vector must be an integer from 0 to ${this.count - 1}, not ${vector}`);
  }
}
