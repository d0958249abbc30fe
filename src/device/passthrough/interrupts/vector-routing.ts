// Carries out what the MSI and MSI-X state machines decide: which vectors the host signals (VFIO), and which
// reach the guest (the platform). The order matters and is in one place. Nothing is masked at the host: a vector that the guest
// masks stays armed and loses its irqfd, so that its events wait in its eventfd.
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { ArmedVectors } from "../../seam/armed-vectors.ts";
import { runsOf } from "../../seam/irq-requests.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { ReportEvent } from "../../seam/events.ts";
import { StandingFault } from "../../seam/standing-fault.ts";
import type { MsiGroup, VectorChange } from "../../seam/platform.ts";

/** Vectors that host or platform have no room for, one after another, before the rest is left. */
const maxRefusals = 4;
const codeOf = (cause: unknown): unknown =>
  cause instanceof Error && "code" in cause ? cause.code : undefined;
const isFull = (cause: unknown): boolean => codeOf(cause) === "ENOSPC";
/** This process has no more: what is left of it is not for one device's vectors. */
const isExhausted = (cause: unknown): boolean =>
  ["EMFILE", "ENFILE", "ENOMEM"].includes(String(codeOf(cause)));

/**
 * All that `act` takes, by halves: one that is refused keeps no other from being taken. Where there is no room (ENOSPC) all that
 * follow are refused, so a few such in a row end it: it then costs a few calls, not one for each.
 */
function takeByHalves<T>(
  items: readonly T[],
  act: (items: readonly T[]) => void,
  refused: { inARow: number; cause?: unknown },
): readonly T[] {
  if (items.length === 0 || refused.inARow >= maxRefusals) return [];
  try {
    act(items);
    refused.inARow = 0;
    return items;
  } catch (cause) {
    refused.cause ??= cause;
    if (isExhausted(cause)) refused.inARow = maxRefusals;
    else if (items.length === 1) refused.inARow = isFull(cause) ? refused.inARow + 1 : 0;
    if (items.length === 1) return [];
    const half = Math.ceil(items.length / 2);
    return [
      ...takeByHalves(items.slice(0, half), act, refused),
      ...takeByHalves(items.slice(half), act, refused),
    ];
  }
}

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
  readonly #unarmed: StandingFault;
  readonly #staysOn: StandingFault;

  constructor(
    backend: DeviceBackend,
    kind: "MSI" | "MSI-X",
    group: MsiGroup,
    vectors: number,
    report: ReportEvent,
  ) {
    this.#group = group;
    this.#report = report;
    this.#unarmed = new StandingFault(report, "interrupt-failed");
    this.#staysOn = new StandingFault(report, "interrupt-failed");
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
    let why: unknown;
    try {
      this.#armed.start(vectors, atLeast);
    } catch (cause) {
      if (!this.#armed.grows || vectors.length < 2 || isExhausted(cause)) throw cause;
      // What a host that adds vectors refuses in one request, it may give in several.
      this.#armed.start([]);
      why = cause;
    }
    this.#note(vectors);
    this.#arm(vectors.filter((vector) => !this.#armed.has(vector)));
    if (why === undefined || vectors.some((vector) => this.#armed.has(vector))) return;
    this.stop();
    throw why;
  }

  #note(vectors: readonly number[]): void {
    for (const vector of vectors) if (this.#armed.has(vector)) this.#used[vector] = 1;
  }

  /** Turns it off at the host. A failure is reported, and the next call tries again: another kind cannot go on before. */
  stop(): void {
    this.#unarmed.mended();
    try {
      this.#armed.stop();
      this.#staysOn.mended();
    } catch (cause) {
      this.#staysOn.tell(`${this.#name} cannot be disabled`, cause);
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

  /** As `apply` of one change, which is what most writes of the MSI-X table come to. @returns whether it took effect */
  applyOne(change: VectorChange): boolean {
    const { vector, message } = change;
    if (!this.on || (message && !this.#armed.has(vector))) return this.apply([change]).length > 0;
    const taken = this.#update([change]).length > 0;
    this.isOwed = !taken && !message;
    if (taken) this.#routed[vector] = message ? 1 : 0;
    return taken;
  }

  #update(changes: readonly VectorChange[]): readonly VectorChange[] {
    try {
      if (changes.length > 0) this.#group.update(changes);
      return changes;
    } catch (cause) {
      // Together they do not fit. Withdrawals make room, so they go first.
      const take = (some: readonly VectorChange[]): readonly VectorChange[] =>
        takeByHalves(some, (part) => this.#group.update(part), { inARow: 0 });
      const off = take(changes.filter(({ message }) => !message));
      const on = take(changes.filter(({ message }) => message));
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

  /** One that the host refuses is no reason to leave out the others, unless all must go off for them. */
  #arm(vectors: readonly number[]): void {
    if (vectors.length === 0) return;
    const refused: { inARow: number; cause?: unknown } = { inARow: 0 };
    const arm = (part: readonly number[]): void => {
      this.#armed.arm(part);
      this.#note(part);
    };
    if (!this.#armed.restartsFor(vectors.at(-1)!))
      for (const run of runsOf(vectors)) takeByHalves(run, arm, refused);
    else
      try {
        arm(vectors);
      } catch (cause) {
        refused.cause = cause;
      }
    const left = vectors.filter((vector) => !this.#armed.has(vector));
    if (left.length === 0) this.#unarmed.mended();
    else this.#unarmed.tell(`${this.#name} vectors ${left.join(", ")} cannot be armed`, refused.cause);
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
