import { VfioError } from "../ffi/errors.ts";
import type { MsiMessage } from "../device/seam/platform.ts";
import type { Eventfd } from "../ffi/eventfd.ts";
import { Unreleased } from "../ffi/unreleased.ts";
import type { ChipRoute } from "../ffi/kvm-interrupts.ts";
import type { IrqCalls } from "./irq-calls.ts";

export interface RoutingOptions {
  /** Routes of the interrupt chips' pins, which the table always holds. */
  readonly chips: readonly ChipRoute[];
  /** The first GSI for messages. */
  readonly first: number;
  /** Entries, and GSIs, that KVM has at most (KVM_CAP_IRQ_ROUTING). */
  readonly limit: number;
}

/** An irqfd that KVM has not taken off. It can only be named by its eventfd, which so stays open. */
export interface KeptIrqfd {
  readonly gsi: number;
  readonly eventfd: Eventfd;
  /** What goes with it: the line's other eventfd. */
  readonly resample?: Eventfd | undefined;
}

/** A route that is to be there, or (undefined) is no longer needed. */
export interface RouteChange {
  readonly gsi: number;
  readonly message: MsiMessage | undefined;
}

const same = (a: MsiMessage | undefined, b: MsiMessage): boolean =>
  a !== undefined &&
  a.data === b.data &&
  a.addressLow === b.addressLow &&
  a.addressHigh === b.addressHigh &&
  a.requesterId === b.requesterId;

/**
 * The GSI routing table of a virtual machine, shared by all its devices. KVM replaces the table as a whole, which takes
 * the longer the more is in it, so it is set only where a route is wanted that the kernel does not have: a route that is
 * not needed any more harms nobody (no irqfd names its GSI) and goes with the next table.
 */
export class RoutingTable implements Disposable {
  readonly #calls: IrqCalls;
  readonly #chips: readonly ChipRoute[];
  readonly #limit: number;
  readonly #first: number;
  /** By GSI, from `#first`: taken by a vector. */
  readonly #taken: Uint8Array;
  readonly #wanted = new Map<number, MsiMessage>();
  /** What the kernel's table holds. */
  #kernel: ReadonlyMap<number, MsiMessage> = new Map();
  #next = 0;
  #closed = false;
  /** Irqfds whose owner is closed: each has its GSI, which nobody else may get, until KVM lets go of it. */
  readonly #kept = new Unreleased<KeptIrqfd>((irqfd) => {
    this.#calls.disconnect(irqfd.eventfd.fd, irqfd.gsi);
    closeEventfds(irqfd);
    this.#drop(irqfd.gsi);
  });

  constructor(calls: IrqCalls, { chips, first, limit }: RoutingOptions) {
    this.#calls = calls;
    this.#chips = chips;
    this.#limit = limit;
    this.#first = first;
    this.#taken = new Uint8Array(Math.max(0, limit - first));
  }

  /** Routes of messages in use. */
  get size(): number {
    return this.#wanted.size;
  }

  /** Takes over an irqfd that KVM has not taken off: tried again when another is closed, when GSIs run out, and at the end. */
  keep(irqfd: KeptIrqfd): void {
    this.#kept.add(irqfd);
  }

  /** Tries again to take off what KVM has kept. */
  settle(): void {
    this.#kept.settle();
  }

  /** A GSI that no vector has. @param before the one that the caller had last: its route may still be in the kernel's table @throws VfioError (ENOSPC) */
  claim(before?: number): number {
    if (before !== undefined && this.#taken[before - this.#first] === 0)
      return this.#take(before - this.#first);
    let free = this.#free();
    if (free === undefined && this.#kept.size > 0) {
      this.settle();
      free = this.#free();
    }
    if (free !== undefined) return this.#take(free);
    throw new VfioError(`all ${this.#taken.length} GSIs for messages are in use`, { code: "ENOSPC" });
  }

  #free(): number | undefined {
    const count = this.#taken.length;
    for (let i = 0; i < count; i++) {
      const index = (this.#next + i) % count;
      if (this.#taken[index] !== 0) continue;
      this.#next = index + 1;
      return index;
    }
    return undefined;
  }

  #take(index: number): number {
    this.#taken[index] = 1;
    return this.#first + index;
  }

  /** Forgets the route of a GSI, if it is a message's, and gives it back. */
  #drop(gsi: number): void {
    if (gsi < this.#first) return;
    this.#set([{ gsi, message: undefined }]);
    this.release(gsi);
  }

  /** Gives a GSI back; no irqfd may name it. */
  release(gsi: number): void {
    this.#taken[gsi - this.#first] = 0;
  }

  /**
   * Applies all changes with one new table, or none if the kernel's has what is wanted.
   * @returns the changes that take these back
   * @throws VfioError; then nothing has changed
   */
  apply(changes: readonly RouteChange[]): readonly RouteChange[] {
    const before = changes.map(({ gsi }) => ({ gsi, message: this.#wanted.get(gsi) }));
    this.#set(changes);
    if (!changes.some(({ gsi, message }) => message && !same(this.#kernel.get(gsi), message))) return before;
    try {
      if (this.#chips.length + this.#wanted.size > this.#limit)
        throw new VfioError(
          `the interrupt routing table has ${this.#limit} entries, ${this.#chips.length + this.#wanted.size} are wanted`,
          { code: "ENOSPC" },
        );
      this.#calls.setRouting(this.#chips, this.#wanted);
    } catch (error) {
      this.#set(before);
      throw error;
    }
    this.#kernel = new Map(this.#wanted);
    return before;
  }

  #set(changes: readonly RouteChange[]): void {
    for (const { gsi, message } of changes)
      if (message) this.#wanted.set(gsi, message);
      else this.#wanted.delete(gsi);
  }

  /**
   * With the machine: takes off what KVM has kept, and closes its eventfds in any case. KVM lets go of an irqfd whose eventfd is
   * closed, if not before. Safe to call twice.
   * @throws VfioError the first refusal, after all was done
   */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    const [failure] = this.#kept.settle();
    for (const irqfd of this.#kept) closeEventfds(irqfd);
    if (failure !== undefined) throw failure;
  }
}

function closeEventfds({ eventfd, resample }: KeptIrqfd): void {
  eventfd[Symbol.dispose]();
  resample?.[Symbol.dispose]();
}
