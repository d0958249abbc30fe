// Carries out what the MSI and MSI-X state machines decide: which vectors the host signals (VFIO), and which
// reach the guest (the platform). The order matters and is in one place.
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { MsiGroup, VectorChange } from "../../seam/platform.ts";

const unarmed = -1;

/** The vectors of one capability, on the device and on the platform. */
export class VectorRouting {
  readonly #backend: DeviceBackend;
  readonly #group: MsiGroup;
  readonly #report: ReportEvent;
  readonly #index: number;
  readonly #name: string;
  /** Vectors that the host can give. */
  readonly available: number;
  /** The host cannot add vectors while others are in use. */
  readonly #fixed: boolean;
  /** Vectors that the host has allocated; 0: off. */
  #allocated = 0;
  /** The host has this kind on, whatever the guest wants. */
  #heldByHost = false;
  /** 1 where the host signals the vector's eventfd. */
  readonly #armed: Uint8Array;
  /** 1 where the vector has an eventfd in which an event may wait. */
  readonly #used: Uint8Array;

  constructor(
    backend: DeviceBackend,
    kind: "MSI" | "MSI-X",
    group: MsiGroup,
    vectors: number,
    report: ReportEvent,
  ) {
    this.#backend = backend;
    this.#group = group;
    this.#report = report;
    this.#name = kind;
    this.#index = kind === "MSI" ? IrqIndex.msi : IrqIndex.msix;
    const info = backend.irqs[this.#index];
    this.available = Math.min(vectors, info?.count ?? 0);
    // MSI is allocated as one block, whatever the host says of MSI-X.
    this.#fixed = kind === "MSI" || (info?.noResize ?? true);
    this.#armed = new Uint8Array(vectors);
    this.#used = new Uint8Array(vectors);
  }

  get on(): boolean {
    return this.#allocated > 0;
  }

  /** Turns the interrupt kind on at the host, for these vectors; one request. @throws what the backend throws */
  start(vectors: readonly number[], atLeast = 1): void {
    this.stop();
    const usable = vectors.filter((vector) => vector < this.available);
    const count = Math.min(this.available, Math.max(atLeast, ...usable.map((vector) => vector + 1)));
    this.#withEventfds(usable, (eventfds) => {
      const fds: number[] = new Array<number>(count).fill(unarmed);
      usable.forEach((vector, i) => (fds[vector] = eventfds[i]!));
      this.#request(0, fds);
    });
    this.#heldByHost = true;
    this.#allocated = count;
    this.#armed.fill(0);
    for (const vector of usable) this.#note(vector);
  }

  #note(vector: number): void {
    this.#armed[vector] = 1;
    this.#used[vector] = 1;
  }

  /** Turns it off at the host. A failure is reported, and the next call tries again: another kind cannot go on before. */
  stop(): void {
    this.#allocated = 0;
    this.#armed.fill(0);
    if (!this.#heldByHost) return;
    try {
      this.#backend.setIrqs({
        index: this.#index,
        action: "trigger",
        start: 0,
        data: { kind: "none", count: 0 },
      });
      this.#heldByHost = false;
    } catch (cause) {
      this.#report("interrupt-failed", `${this.#name} cannot be disabled`, cause);
    }
  }

  /**
   * Makes the guest's wishes true: first the host arms the vectors that come into use, then the platform applies all
   * changes at once. A vector that is masked again stays armed: its events wait in its eventfd, which is its pending bit.
   * @returns the changes that took effect
   */
  apply(changes: readonly VectorChange[]): readonly VectorChange[] {
    if (changes.length === 0) return changes;
    let usable = changes;
    if (this.on) {
      const missing: number[] = [];
      for (const { vector, message } of changes) if (message && !this.#armed[vector]) missing.push(vector);
      if (missing.length > 0) {
        this.#arm(missing);
        usable = changes.filter(({ vector, message }) => !message || this.#armed[vector]);
      }
    } else usable = changes.filter(({ message }) => !message);
    return this.#update(usable);
  }

  #update(changes: readonly VectorChange[]): readonly VectorChange[] {
    try {
      if (changes.length > 0) this.#group.update(changes);
      return changes;
    } catch (cause) {
      // Together they do not fit. Withdrawals make room, so they go first.
      const off = this.#take(changes.filter(({ message }) => !message));
      const on = this.#take(changes.filter(({ message }) => message));
      const left = changes.length - off.length - on.length;
      if (left > 0)
        this.#report(
          "interrupt-failed",
          `${this.#name}: ${left} of ${changes.length} changed vectors are not as the guest wants them`,
          cause,
        );
      return [...off, ...on];
    }
  }

  /** As many changes as the platform takes, from the first on: by halves, so that a full table costs a few updates, not one a vector. */
  #take(changes: readonly VectorChange[]): readonly VectorChange[] {
    if (changes.length === 0) return changes;
    try {
      this.#group.update(changes);
      return changes;
    } catch {
      if (changes.length === 1) return [];
      const half = changes.slice(0, Math.ceil(changes.length / 2));
      const taken = this.#take(half);
      return taken.length < half.length ? taken : [...taken, ...this.#take(changes.slice(half.length))];
    }
  }

  #arm(vectors: readonly number[]): void {
    const usable = vectors.filter((vector) => vector < this.available);
    if (usable.length < vectors.length)
      this.#report(
        "interrupt-failed",
        `${this.#name}: the guest uses vector ${vectors.find((vector) => vector >= this.available)}, the host has ${this.available}`,
      );
    if (usable.length === 0) return;
    const last = usable.at(-1)!;
    try {
      if (this.#fixed && last >= this.#allocated) this.#regrow(usable, last + 1);
      else for (const run of runs(usable)) this.#armRun(run);
    } catch (cause) {
      this.#report("interrupt-failed", `${this.#name} vectors ${usable.join(", ")} cannot be armed`, cause);
    }
  }

  #armRun(run: readonly number[]): void {
    this.#withEventfds(run, (eventfds) => this.#request(run[0]!, eventfds));
    for (const vector of run) this.#note(vector);
    this.#allocated = Math.max(this.#allocated, run.at(-1)! + 1);
  }

  /** Without dynamic allocation all vectors go off and come back; in powers of two, so that it happens rarely. */
  #regrow(vectors: readonly number[], needed: number): void {
    const before: number[] = [];
    for (let vector = 0; vector < this.#armed.length; vector++) if (this.#armed[vector]) before.push(vector);
    const old = this.#allocated;
    this.stop();
    try {
      this.start([...before, ...vectors], Math.min(this.available, 2 ** Math.ceil(Math.log2(needed))));
    } catch (cause) {
      this.start(before, old);
      throw cause;
    } finally {
      // What the device sent while its vectors were off reached nobody. One event too many does no harm, one too few does.
      if (this.on) for (const vector of before) this.#group.signal(vector);
    }
  }

  /** Hands the vectors' eventfds to a request. Where it fails, those made for it are closed: nobody has them. */
  #withEventfds(vectors: readonly number[], request: (eventfds: number[]) => void): void {
    try {
      request(vectors.map((vector) => this.#group.eventfd(vector)));
    } catch (cause) {
      for (const vector of vectors) if (!this.#used[vector]) this.#group.release?.(vector);
      throw cause;
    }
  }

  #request(start: number, fds: readonly number[]): void {
    this.#backend.setIrqs({ index: this.#index, action: "trigger", start, data: { kind: "eventfd", fds } });
  }

  /**
   * Whether an event of a vector waits in its eventfd because the guest masked it.
   * @param sure throws what the platform throws; else that is reported, and nothing waits
   */
  pending(vector: number, sure = false): boolean {
    if (this.#used[vector] !== 1) return false;
    try {
      return this.#group.pending(vector);
    } catch (cause) {
      if (sure) throw cause;
      this.#report(
        "interrupt-failed",
        `${this.#name}: whether vector ${vector} is pending cannot be told`,
        cause,
      );
      return false;
    }
  }

  /** After a reset: what waited for the guest is not for it any more. */
  forgetPending(): void {
    this.#used.forEach((used, vector) => {
      if (!used) return;
      try {
        this.#group.discard(vector);
      } catch (cause) {
        this.#report("interrupt-failed", `${this.#name}: an old event of vector ${vector} stays`, cause);
      }
    });
    this.#used.fill(0);
  }

  /** Gives a restored pending bit back to the vector. */
  restorePending(vector: number): void {
    this.#used[vector] = 1;
    this.#group.signal(vector);
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#group[Symbol.dispose]();
  }
}

/** Splits ascending numbers into runs without gaps. */
function runs(numbers: readonly number[]): number[][] {
  const result: number[][] = [];
  for (const number of numbers) {
    const run = result.at(-1);
    if (run && run.at(-1) === number - 1) run.push(number);
    else result.push([number]);
  }
  return result;
}
