import { IrqIndex, type IrqRequest } from "../../regs/vfio/irqs.ts";
import type { DeviceBackend } from "./backend.ts";
import { runsOf, trigger, turnOff, unarmed } from "./irq-requests.ts";

/** How `ArmedVectors` reaches eventfds, and whom it tells. */
export interface VectorEventfds {
  /** The eventfd that a vector is to signal. */
  eventfd(vector: number): number;
  /** A request for the vector failed, and it is not armed: nobody has its eventfd. */
  unused?(vector: number): void;
  /** Vectors that were off for a moment and are on again: what the device sent meanwhile reached nobody. */
  interrupted(vectors: readonly number[]): void;
}

/**
 * The vectors of one MSI or MSI-X index that the host signals. A host that can add vectors (MSI-X without NORESIZE) is asked for
 * those in use alone, and gives no others below them. On any other host all go off and come back when more are wanted; it
 * is then asked for a power of two, so that it happens rarely.
 */
export class ArmedVectors {
  readonly #device: DeviceBackend;
  readonly #index: number;
  readonly #eventfds: VectorEventfds;
  /** Whether the host adds vectors while others are on. */
  readonly grows: boolean;
  /** 1 where the host signals the vector's eventfd. */
  readonly #armed: Uint8Array;
  /** Vectors that the host has allocated, unless it grows: then the highest one and those below; 0: off. */
  #allocated = 0;
  /** The host has the index on: a request to turn it off may have failed. */
  #heldByHost = false;

  /** @param index `IrqIndex.msi` or `IrqIndex.msix` @param count vectors that the host can give */
  constructor(device: DeviceBackend, index: number, count: number, eventfds: VectorEventfds) {
    this.#device = device;
    this.#index = index;
    this.#eventfds = eventfds;
    // MSI is allocated as one block, whatever the host says of MSI-X.
    this.grows = index === IrqIndex.msix && device.irqs[index]?.noResize === false;
    this.#armed = new Uint8Array(count);
  }

  get on(): boolean {
    return this.#allocated > 0;
  }
  has(vector: number): boolean {
    return this.#armed[vector] === 1;
  }
  /** Whether vectors up to `last` cannot come into use without the others going off. */
  restartsFor(last: number): boolean {
    return this.on && !this.grows && last >= this.#allocated;
  }

  /**
   * Turns the index on with these vectors, in one request. Of a host that grows only those from 0 on are asked for, or vector 0
   * unarmed: `arm` adds the others.
   * @param vectors ascending @param atLeast vectors to allocate, where the host does not grow
   * @throws what the backend throws; it is off then
   */
  start(vectors: readonly number[], atLeast = 1): void {
    this.stop();
    const first = this.grows ? (runsOf(vectors).find(([start]) => start === 0) ?? []) : vectors;
    const last = first.at(-1) ?? 0;
    const length = Math.min(this.#armed.length, this.grows ? last + 1 : Math.max(atLeast, last + 1));
    this.#request(first, (eventfds) => {
      const fds = new Array<number>(length).fill(unarmed);
      first.forEach((vector, i) => (fds[vector] = eventfds[i]!));
      return trigger(this.#index, 0, fds);
    });
    this.#heldByHost = true;
    this.#allocated = length;
    for (const vector of first) this.#armed[vector] = 1;
  }

  /**
   * Arms vectors while the index is on. Those that are armed already are left alone, since one that is set again loses what comes
   * meanwhile; unless all must go off, see `restartsFor`.
   * @param vectors ascending, none of them armed
   * @throws what the backend throws: vectors that were armed before still are, if the host gave them back
   */
  arm(vectors: readonly number[]): void {
    const last = vectors.at(-1);
    if (last === undefined) return;
    if (this.restartsFor(last)) return this.#restart(vectors, last + 1);
    for (const run of runsOf(vectors)) {
      this.#request(run, (eventfds) => trigger(this.#index, run[0]!, eventfds));
      for (const vector of run) this.#armed[vector] = 1;
      this.#allocated = Math.max(this.#allocated, run.at(-1)! + 1);
    }
  }

  /** Hands the vectors' eventfds to a request. Where it fails, those that were made for it are of no use. */
  #request(vectors: readonly number[], request: (eventfds: readonly number[]) => IrqRequest): void {
    try {
      this.#device.setIrqs(request(vectors.map((vector) => this.#eventfds.eventfd(vector))));
    } catch (cause) {
      for (const vector of vectors) this.#eventfds.unused?.(vector);
      throw cause;
    }
  }

  #restart(vectors: readonly number[], needed: number): void {
    const before: number[] = [];
    for (let vector = 0; vector < this.#armed.length; vector++) if (this.#armed[vector]) before.push(vector);
    const old = this.#allocated;
    const all = [...before, ...vectors].sort((a, b) => a - b);
    this.stop();
    try {
      this.#startRoomily(all, needed);
    } catch (cause) {
      this.start(before, old);
      throw cause;
    } finally {
      if (this.on) this.#eventfds.interrupted(before);
    }
  }

  /** For a power of two, or for as many as there must be where the host has not so many. */
  #startRoomily(vectors: readonly number[], needed: number): void {
    const roomy = Math.min(this.#armed.length, 2 ** Math.ceil(Math.log2(needed)));
    if (roomy > needed)
      try {
        return this.start(vectors, roomy);
      } catch {
        // The next request says why.
      }
    this.start(vectors, needed);
  }

  /** Takes eventfds away; those that are not armed are left alone. @throws what the backend throws; the rest is still armed */
  disarm(vectors: readonly number[]): void {
    for (const run of runsOf(vectors.filter((vector) => this.has(vector)))) {
      this.#device.setIrqs(
        trigger(
          this.#index,
          run[0]!,
          run.map(() => unarmed),
        ),
      );
      for (const vector of run) this.#armed[vector] = 0;
    }
  }

  /** Turns the index off. @throws what the backend throws: the next call tries again, and so does `start` */
  stop(): void {
    this.#allocated = 0;
    this.#armed.fill(0);
    if (!this.#heldByHost) return;
    this.#device.setIrqs(turnOff(this.#index));
    this.#heldByHost = false;
  }
}
