import { msixCapability } from "../../../regs/maps/msix.ts";
import type { ConfigSpace } from "../config/config-space.ts";
import type { ReportEvent } from "../../seam/events.ts";
import type { Intx } from "./intx.ts";
import type { MsiState } from "./msi-state.ts";
import type { Located } from "../../pci/config-offset.ts";
import { entrySize, type MsixGeometry } from "../../pci/msix-geometry.ts";
import type { MsixState } from "./msix-state.ts";
import type { VectorChange } from "../../seam/platform.ts";
import type { VectorWiring } from "./vector-routing.ts";

export interface MsiParts {
  readonly state: MsiState;
  readonly wiring: VectorWiring;
}
export interface MsixParts {
  readonly state: MsixState;
  readonly wiring: VectorWiring;
  readonly capability: Located;
  readonly physical: MsixGeometry;
  /** Where the guest sees table and PBA. */
  readonly guest: MsixGeometry;
}

/** What both state machines have. */
interface Vectors {
  enabled: boolean;
  /** Vectors whose events go to the guest now. */
  wantedVectors(): number[];
  pendingChanges(): VectorChange[];
  applied(changes: readonly VectorChange[]): void;
}

/** The interrupts of one device: INTx, MSI and MSI-X, of which one at most is on at the host. */
export class InterruptControl {
  readonly intx: Intx | undefined;
  readonly msi: MsiParts | undefined;
  readonly msix: MsixParts | undefined;
  readonly #config: ConfigSpace;
  readonly #report: ReportEvent;

  constructor(
    config: ConfigSpace,
    parts: {
      readonly intx: Intx | undefined;
      readonly msi: MsiParts | undefined;
      readonly msix: MsixParts | undefined;
    },
    report: ReportEvent,
  ) {
    this.#config = config;
    this.#report = report;
    this.intx = parts.intx;
    this.msi = parts.msi;
    this.msix = parts.msix;
  }

  /** The kind that the host delivers now. */
  get mode(): "none" | "INTx" | "MSI" | "MSI-X" {
    if (this.msix?.wiring.on) return "MSI-X";
    if (this.msi?.wiring.on) return "MSI";
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
    const registers = msixCapability.view(this.#config.view, msix.capability.offset);
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
      msixCapability.view(this.#config.view, msix.capability.offset).controlEnable = false;
  }

  /** After the guest's write of MSI registers is in the shadow. */
  msiWritten(): void {
    const { msi } = this;
    if (!msi) return;
    const { state, wiring } = msi;
    if (state.enabled === wiring.on) {
      if (wiring.on) this.#apply(msi);
    } else if (!state.enabled) this.#turnOff(msi);
    else if (!this.#turnOn(msi, "MSI", state.enabledVectors)) this.#showOff(msi);
  }

  #turnOn(parts: { state: Vectors; wiring: VectorWiring }, name: string, atLeast: number): boolean {
    const { state, wiring } = parts;
    // Not those that change alone: a vector whose withdrawal failed before is routed still, but no longer armed.
    const vectors =
      name === "MSI" ? Array.from({ length: atLeast }, (_, vector) => vector) : state.wantedVectors();
    // INTx goes first: the host has one kind of interrupt on at a time.
    const other = name === "MSI" ? this.msix?.wiring : this.msi?.wiring;
    if (other?.on) {
      this.#report("interrupt-failed", `${name} is enabled while ${name === "MSI" ? "MSI-X" : "MSI"} is on`);
      return false;
    }
    other?.stop();
    this.intx?.disable();
    try {
      wiring.start(vectors, atLeast);
    } catch (cause) {
      this.#report("interrupt-failed", `${name} cannot be enabled; the device keeps INTx`, cause);
      this.#enableIntx();
      return false;
    }
    this.#apply(parts);
    return true;
  }

  /** The guest stops hearing the vectors before the host frees them. */
  #turnOff(parts: { state: Vectors; wiring: VectorWiring }): void {
    this.#withdraw(parts);
    parts.wiring.stop();
    this.#enableIntx();
  }

  #withdraw({ state, wiring }: { state: Vectors; wiring: VectorWiring }): void {
    state.applied(wiring.apply(state.pendingChanges()));
  }

  /** INTx is on whenever nothing else is. What the host refused to turn off before is turned off first. */
  #enableIntx(): void {
    const wirings = [this.msi?.wiring, this.msix?.wiring];
    if (wirings.some((wiring) => wiring?.on)) return;
    for (const wiring of wirings) wiring?.stop();
    this.intx?.enable();
  }

  #apply(parts: { state: Vectors; wiring: VectorWiring }, changes = parts.state.pendingChanges()): void {
    const { state, wiring } = parts;
    state.applied(wiring.apply(changes));
    // The host lost all vectors while it took more: better INTx, and a guest that reads so, than silence.
    if (state.enabled && !wiring.on) {
      this.#report("interrupt-failed", "the host lost all vectors: the guest has INTx again");
      this.#showOff(parts);
      this.#turnOff(parts);
    }
  }

  /** Stores guest bytes in the MSI-X table and carries out what follows. Allocates only where a route changes. */
  tableWrite(offset: number, data: Uint8Array, from: number, count: number): void {
    const { state } = this.msix!;
    if (!state.write(offset, data, from, count) || !state.enabled || state.masked) return;
    const first = Math.floor(offset / entrySize);
    const last = Math.floor((offset + count - 1) / entrySize);
    const changes = state.pendingChanges(first, last);
    if (changes.length > 0) this.#apply(this.msix!, changes);
  }

  /**
   * Adds to bytes of the device's PBA the events that wait in eventfds for masked vectors. The device itself holds those
   * of vectors that the host was never asked for.
   * @param index of the first byte @param sure throws where the platform cannot tell
   */
  addPending(data: Uint8Array, from: number, count: number, index: number, sure = false): void {
    const { state, wiring } = this.msix!;
    for (let i = 0; i < count; i++)
      for (let bit = 0; bit < 8; bit++) {
        const vector = (index + i) * 8 + bit;
        if (vector < state.vectors && !state.isRouted(vector) && wiring.pending(vector, sure))
          data[from + i]! |= 1 << bit;
      }
  }

  /** Brings the MSI pending bits in the shadow up to date. */
  computeMsiPending(): void {
    if (!this.msi) return;
    const { state, wiring } = this.msi;
    let bits = 0;
    for (let vector = 0; vector < state.layout.vectors; vector++)
      if (!state.isRouted(vector) && wiring.pending(vector)) bits += 2 ** vector;
    state.pending = bits;
  }

  /** As after a function reset: MSI and MSI-X off and masked, INTx on. */
  reset(): void {
    const { intx, msi, msix } = this;
    // The host masks INTx from each interrupt to its end, and the guest of after the reset ends none of before: off and
    // on again lets the next one come.
    intx?.disable();
    if (msix) {
      msix.state.reset();
      const registers = msixCapability.view(this.#config.view, msix.capability.offset);
      registers.controlEnable = false;
      registers.controlFunctionMask = false;
      this.#turnOff(msix);
      msix.wiring.forgetPending();
    }
    if (msi) {
      msi.state.reset();
      this.#turnOff(msi);
      msi.wiring.forgetPending();
    }
    this.#enableIntx();
  }

  /** Vectors whose events wait. @param pba the guest's PBA @throws where the platform cannot tell */
  pendingVectors(pba: Uint8Array): { readonly msi: number[]; readonly msix: number[] } {
    const vectors = (count: number): number[] => Array.from({ length: count }, (_, vector) => vector);
    const { msi, msix } = this;
    return {
      msi: vectors(msi?.state.layout.vectors ?? 0).filter(
        (vector) => !msi!.state.isRouted(vector) && msi!.wiring.pending(vector, true),
      ),
      msix: vectors(msix?.state.vectors ?? 0).filter((vector) => (pba[vector >>> 3]! >>> (vector & 7)) & 1),
    };
  }

  /** Everything off: MSI-X, then MSI, then INTx; then the platform's vectors go. */
  [Symbol.dispose](): void {
    for (const part of [this.msix?.wiring, this.msi?.wiring, this.intx]) {
      try {
        part?.[Symbol.dispose]();
      } catch (cause) {
        this.#report("teardown", "interrupts cannot be given back", cause);
      }
    }
  }
}
