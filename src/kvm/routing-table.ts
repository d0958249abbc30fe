import { VfioError } from "../ffi/errors.ts";
import type { MsiMessage } from "../device/seam/platform.ts";
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
  a.deviceId === b.deviceId;

/**
 * The GSI routing table of a virtual machine, shared by all its devices. KVM replaces the table as a whole, which takes
 * the longer the more is in it, so it is set only where a route is wanted that the kernel does not have: a route that is
 * not needed any more harms nobody (no irqfd names its GSI) and goes with the next table.
 */
export class RoutingTable {
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

  /** A GSI that no vector has. @param before the one that the caller had last: its route may still be in the kernel's table @throws VfioError (ENOSPC) */
  claim(before?: number): number {
    if (before !== undefined && this.#taken[before - this.#first] === 0)
      return this.#take(before - this.#first);
    const count = this.#taken.length;
    for (let i = 0; i < count; i++) {
      const index = (this.#next + i) % count;
      if (this.#taken[index] !== 0) continue;
      this.#next = index + 1;
      return this.#take(index);
    }
    throw new VfioError(`all ${count} GSIs for messages are in use`, { code: "ENOSPC" });
  }

  #take(index: number): number {
    this.#taken[index] = 1;
    return this.#first + index;
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
}
