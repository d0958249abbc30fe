// Which kind of interrupt is on, INTx, MSI or MSI-X: the host has one at a time.
import { Unreleased } from "../../../ffi/unreleased.ts";
import { msixCapability } from "../../../regs/maps/msix.ts";
import type { ComputedBytes } from "../config/config-space.ts";
import type { TellConfig } from "../config/config-teller.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { MsiParts, MsixParts, Vectors } from "./interrupt-parts.ts";
import type { Intx } from "./intx.ts";
import { startOf } from "../../pci/config-offset.ts";
import { entrySize } from "../../pci/msix-geometry.ts";
import type { VectorRouting } from "./vector-routing.ts";

/** The interrupts of one device: INTx, MSI and MSI-X, of which one at most is on at the host. */
export class InterruptControl implements ComputedBytes {
  readonly intx: Intx | undefined;
  readonly msi: MsiParts | undefined;
  readonly msix: MsixParts | undefined;
  /** The guest's view of config space. */
  readonly #shadow: DataView;
  readonly #report: ReportEvent;
  readonly #tell: TellConfig;
  readonly #unreleased: Unreleased<{ readonly name: string; readonly part: Disposable }>;

  constructor(
    shadow: DataView,
    parts: Pick<InterruptControl, "intx" | "msi" | "msix">,
    report: ReportEvent,
    tell: TellConfig,
  ) {
    this.#shadow = shadow;
    this.#tell = tell;
    this.#report = report;
    this.#unreleased = new Unreleased<{ readonly name: string; readonly part: Disposable }>(
      ({ part }) => part[Symbol.dispose](),
      ({ name }, cause) => report("teardown", `${name} cannot be given back`, cause),
    );
    const all = { INTx: parts.intx, MSI: parts.msi?.routing, "MSI-X": parts.msix?.routing };
    for (const [name, part] of Object.entries(all)) if (part) this.#unreleased.add({ name, part });
    this.intx = parts.intx;
    this.msi = parts.msi;
    this.msix = parts.msix;
  }

  /** The kind that the host delivers now. */
  get mode(): "none" | "INTx" | "MSI" | "MSI-X" {
    if (this.msix?.routing.on) return "MSI-X";
    if (this.msi?.routing.on) return "MSI";
    return this.intx?.enabled ? "INTx" : "none";
  }

  /** A device comes up with INTx. */
  start(): void {
    this.intx?.enable();
  }

  /** After the guest's write of the MSI-X control register is in the shadow. */
  msixControlWritten(): void {
    const { msix } = this;
    if (!msix) return;
    const registers = msixCapability.view(this.#shadow, msix.capability.offset);
    msix.state.masked = registers.controlFunctionMask;
    const enable = registers.controlEnable;
    if (enable === msix.state.enabled) return this.#apply(msix);
    msix.state.enabled = enable;
    if (!enable) return this.#turnOff(msix);
    if (!this.#turnOn(msix, "MSI-X", 1)) this.#showOff(msix);
  }

  /** The guest reads back that the interrupts are off. */
  #showOff({ state }: { state: Vectors }): void {
    state.enabled = false;
    const { msix } = this;
    if (msix && state === msix.state)
      msixCapability.view(this.#shadow, msix.capability.offset).controlEnable = false;
    this.#tellRegisters();
  }

  #tellRegisters(): void {
    const { msi, msix } = this;
    if (msix) this.#tell(startOf(msix.capability), 4);
    if (msi) this.#tell(startOf(msi.state.layout), msi.state.layout.length);
  }

  /** After the guest's write of MSI registers is in the shadow. */
  msiWritten(): void {
    const { msi } = this;
    if (!msi) return;
    const { state, routing } = msi;
    if (state.enabled === routing.on) {
      if (routing.on) this.#apply(msi);
    } else if (!state.enabled) this.#turnOff(msi);
    else if (!this.#turnOn(msi, "MSI", state.enabledVectors)) this.#showOff(msi);
  }

  #turnOn(parts: { state: Vectors; routing: VectorRouting }, name: string, atLeast: number): boolean {
    const { state, routing } = parts;
    // Not those that change alone: a vector whose withdrawal failed before is routed still, but no longer armed.
    const vectors =
      name === "MSI" ? Array.from({ length: atLeast }, (_, vector) => vector) : state.wantedVectors();
    // INTx goes first: the host has one kind of interrupt on at a time.
    const other = name === "MSI" ? this.msix?.routing : this.msi?.routing;
    if (other?.on) {
      this.#report("interrupt-failed", `${name} is enabled while ${name === "MSI" ? "MSI-X" : "MSI"} is on`);
      return false;
    }
    other?.stop();
    this.intx?.disable();
    try {
      routing.start(vectors, atLeast);
    } catch (cause) {
      this.#enableIntx();
      this.#report("interrupt-failed", `${name} cannot be enabled: ${this.#left}`, cause);
      return false;
    }
    this.#apply(parts);
    return true;
  }

  /** What the guest has where its vectors are off. */
  get #left(): string {
    return this.intx?.enabled ? "the guest has INTx" : "the guest has no interrupt";
  }

  /** The guest stops hearing the vectors before the host frees them. */
  #turnOff(parts: { state: Vectors; routing: VectorRouting }): void {
    this.#withdraw(parts);
    parts.routing.stop();
    this.#enableIntx();
  }

  #withdraw({ state, routing }: { state: Vectors; routing: VectorRouting }): void {
    state.applied(routing.apply(state.pendingChanges()));
  }

  /** INTx is on whenever nothing else is. What the host refused to turn off before is turned off first. */
  #enableIntx(): void {
    const routings = [this.msi?.routing, this.msix?.routing];
    if (routings.some((routing) => routing?.on)) return;
    for (const routing of routings) routing?.stop();
    this.intx?.enable();
  }

  #apply(parts: { state: Vectors; routing: VectorRouting }, changes = parts.state.pendingChanges()): void {
    const { state, routing } = parts;
    state.applied(routing.apply(changes));
    this.#checkLost(parts);
  }

  #checkLost(parts: { state: Vectors; routing: VectorRouting }): void {
    const { state, routing } = parts;
    // The host lost all vectors while it took more: better INTx, and a guest that reads so, than silence.
    if (state.enabled && !routing.on) {
      this.#showOff(parts);
      this.#turnOff(parts);
      this.#report("interrupt-failed", `the host lost all vectors: ${this.#left}`);
    }
  }

  /** Stores guest bytes in the MSI-X table and carries out what follows. Allocates only where a route changes. */
  tableWrite(offset: number, data: Uint8Array, from: number, count: number): void {
    const { state, routing } = this.msix!;
    if (!state.write(offset, data, from, count) || !state.enabled) return;
    if (routing.isOwed) return this.#apply(this.msix!);
    if (state.masked) return;
    const first = Math.floor(offset / entrySize);
    const last = Math.floor((offset + count - 1) / entrySize);
    if (first === last) {
      const change = state.change(first);
      if (!change) return;
      if (routing.applyOne(change)) state.appliedOne(change);
      return this.#checkLost(this.msix!);
    }
    const changes = state.pendingChanges(first, last);
    if (changes.length > 0) this.#apply(this.msix!, changes);
  }

  /**
   * Adds to bytes of the device's PBA the events that wait in eventfds for masked vectors. The device itself holds those
   * of vectors that the host was never asked for.
   * @param index of the first byte @param sure throws where the platform cannot tell
   */
  addPending(data: Uint8Array, from: number, count: number, index: number, sure = false): void {
    const { state, routing } = this.msix!;
    for (let i = 0; i < count; i++)
      for (let bit = 0; bit < 8; bit++) {
        const vector = (index + i) * 8 + bit;
        if (vector < state.vectors && !state.isRouted(vector) && routing.pending(vector, sure))
          data[from + i]! |= 1 << bit;
      }
  }

  /** Brings the MSI pending bits in the shadow up to date. */
  compute(): void {
    if (!this.msi) return;
    const { state, routing } = this.msi;
    let bits = 0;
    for (let vector = 0; vector < state.layout.vectors; vector++)
      if (!state.isRouted(vector) && routing.pending(vector)) bits += 2 ** vector;
    state.pending = bits;
  }

  /** Turns everything off at the host before a reset. What the guest set up stays: `reset` or `resume` is next. */
  suspend(): void {
    this.intx?.disable();
    for (const parts of [this.msix, this.msi]) parts?.routing.stop();
  }

  /** Goes on as before `suspend`: the reset did not happen. What came meanwhile is made up for by one event too many. */
  resume(): void {
    for (const [name, parts] of [["MSI-X", this.msix] as const, ["MSI", this.msi] as const]) {
      if (!parts?.state.enabled) continue;
      const atLeast = name === "MSI" ? this.msi!.state.enabledVectors : 1;
      if (this.#turnOn(parts, name, atLeast)) return parts.routing.signalRouted();
      this.#showOff(parts);
    }
    this.#enableIntx();
  }

  /** As after a function reset: MSI and MSI-X off and masked, INTx on. */
  reset(): void {
    const { msi, msix } = this;
    // The host masks INTx from each interrupt to its end, and the guest of after the reset ends none of before: off and
    // on again lets the next one come.
    this.suspend();
    if (msix) {
      msix.state.reset();
      const registers = msixCapability.view(this.#shadow, msix.capability.offset);
      registers.controlEnable = false;
      registers.controlFunctionMask = false;
      this.#withdraw(msix);
      msix.routing.forgetPending();
    }
    if (msi) {
      msi.state.reset();
      this.#withdraw(msi);
      msi.routing.forgetPending();
    }
    this.#tellRegisters();
    this.#enableIntx();
  }

  /** Vectors whose events wait. @param pba the guest's PBA @throws where the platform cannot tell */
  pendingVectors(pba: Uint8Array): { readonly msi: number[]; readonly msix: number[] } {
    const vectors = (count: number): number[] => Array.from({ length: count }, (_, vector) => vector);
    const { msi, msix } = this;
    return {
      msi: vectors(msi?.state.layout.vectors ?? 0).filter(
        (vector) => !msi!.state.isRouted(vector) && msi!.routing.pending(vector, true),
      ),
      msix: vectors(msix?.state.vectors ?? 0).filter((vector) => (pba[vector >>> 3]! >>> (vector & 7)) & 1),
    };
  }

  /** Whether everything that the platform gave is given back. */
  get isReleased(): boolean {
    return this.#unreleased.size === 0;
  }

  /** Everything off: MSI-X, then MSI, then INTx; and the platform's vectors go. Called again, it tries again what was refused. */
  [Symbol.dispose](): void {
    this.#unreleased.settle();
  }
}
