// Carries out what the MSI and MSI-X state machines decide: which vectors the host signals (VFIO), and which
// reach the guest (the platform). The order matters and is in one place.
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { ArmedVectors } from "../../seam/armed-vectors.ts";
import { runsOf } from "../../seam/irq-requests.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { MsiGroup, VectorChange } from "../../seam/platform.ts";

/** Vectors that the platform has no room for, one after another, before the rest is left. */
const maxRefusals = 4;

/** The vectors of one capability, on the device and on the platform. */
export class VectorRouting {
  readonly #group: MsiGroup;
  readonly #report: ReportEvent;
  readonly #name: string;
  readonly #armed: ArmedVectors;
  /** 1 where the guest hears the vector. */
  readonly #routed: Uint8Array;
  /** 1 where the vector has an eventfd in which an event may wait. */
  readonly #used: Uint8Array;

  constructor(
    backend: DeviceBackend,
    kind: "MSI" | "MSI-X",
    group: MsiGroup,
    vectors: number,
    report: ReportEvent,
  ) {
    this.#group = group;
    this.#report = report;
    this.#name = kind;
    const index = kind === "MSI" ? IrqIndex.msi : IrqIndex.msix;
    this.#routed = new Uint8Array(vectors);
    this.#used = new Uint8Array(vectors);
    this.#armed = new ArmedVectors(backend, index, vectors, {
      eventfd: (vector) => group.eventfd(vector),
      unused: (vector) => {
        if (!this.#used[vector]) group.release?.(vector);
      },
      interrupted: (interrupted) => this.signalRouted(interrupted),
    });
  }

  /** A vector that was to be withdrawn is routed still: the next occasion is to look at all. */
  isOwed = false;

  get on(): boolean {
    return this.#armed.on;
  }

  /** Turns the interrupt kind on at the host, for these vectors. One that is refused alone is reported. @throws what the backend throws; it is off then */
  start(vectors: readonly number[], atLeast = 1): void {
    this.#armed.start(vectors, atLeast);
    this.#note(vectors);
    this.#arm(vectors.filter((vector) => !this.#armed.has(vector)));
  }

  #note(vectors: readonly number[]): void {
    for (const vector of vectors) if (this.#armed.has(vector)) this.#used[vector] = 1;
  }

  /** Turns it off at the host. A failure is reported, and the next call tries again: another kind cannot go on before. */
  stop(): void {
    try {
      this.#armed.stop();
    } catch (cause) {
      this.#report("interrupt-failed", `${this.#name} cannot be disabled`, cause);
    }
  }

  /**
   * What the device sent while its vectors were off reached nobody. One event too many does no harm to a guest that listens,
   * one too few does; a vector that it has masked is not one of them: its pending bit says what the device sent.
   */
  signalRouted(vectors: Iterable<number> = this.#routed.keys()): void {
    for (const vector of vectors) if (this.#routed[vector]) this.#group.signal(vector);
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
      for (const { vector, message } of changes)
        if (message && !this.#armed.has(vector)) missing.push(vector);
      if (missing.length > 0) {
        this.#arm(missing);
        usable = changes.filter(({ vector, message }) => !message || this.#armed.has(vector));
      }
    } else usable = changes.filter(({ message }) => !message);
    const taken = this.#update(usable);
    this.isOwed =
      taken.length < usable.length && usable.some((change) => !change.message && !taken.includes(change));
    for (const { vector, message } of taken) this.#routed[vector] = message ? 1 : 0;
    return taken;
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

  /**
   * All changes that the platform takes, by halves: one that is refused keeps no other from being made. A full table (ENOSPC)
   * refuses all that follow, so a few such in a row end it: it then costs a few updates, not one a vector.
   */
  #take(changes: readonly VectorChange[], refused = { inARow: 0 }): readonly VectorChange[] {
    if (changes.length === 0 || refused.inARow >= maxRefusals) return [];
    try {
      this.#group.update(changes);
      refused.inARow = 0;
      return changes;
    } catch (cause) {
      if (changes.length === 1) {
        refused.inARow =
          cause instanceof Error && "code" in cause && cause.code === "ENOSPC" ? refused.inARow + 1 : 0;
        return [];
      }
      const half = Math.ceil(changes.length / 2);
      return [...this.#take(changes.slice(0, half), refused), ...this.#take(changes.slice(half), refused)];
    }
  }

  #arm(vectors: readonly number[]): void {
    if (vectors.length === 0) return;
    // One that the host refuses is no reason to leave out the others.
    for (const part of this.#armed.restartsFor(vectors.at(-1)!) ? [vectors] : runsOf(vectors)) {
      try {
        this.#armed.arm(part);
        this.#note(part);
      } catch (cause) {
        this.#report("interrupt-failed", `${this.#name} vectors ${part.join(", ")} cannot be armed`, cause);
      }
    }
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
        `${this.#name}: cannot determine whether vector ${vector} is pending`,
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
