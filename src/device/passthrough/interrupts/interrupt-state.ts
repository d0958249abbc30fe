// The state of MSI and MSI-X: registers, table, and the events that wait for vectors that are masked.
import { msixCapability } from "../../../regs/maps/msix.ts";
import { startOf, type ConfigOffset } from "../../pci/config-offset.ts";
import { entrySize } from "../../pci/msix-geometry.ts";
import type { ConfigSpace } from "../config/config-space.ts";
import type { Stateful } from "../../seam/stateful.ts";
import type { InterruptControl } from "./interrupt-control.ts";
import type { MsiParts, MsixParts } from "./interrupt-parts.ts";
import type { InterruptsState } from "./interrupts-schema.ts";
import { isMsiOn } from "./msi-state.ts";

export class InterruptState implements Stateful<InterruptsState> {
  readonly #interrupts: InterruptControl;
  readonly #config: ConfigSpace;
  readonly #readPba: (data: Uint8Array) => void;

  /** @param readPba fills the bytes of the device's own PBA; zeros where the device does not answer */
  constructor(interrupts: InterruptControl, config: ConfigSpace, readPba: (data: Uint8Array) => void) {
    this.#interrupts = interrupts;
    this.#config = config;
    this.#readPba = readPba;
  }

  save(): InterruptsState {
    const { msi, msix } = this.#interrupts;
    const pending = this.#interrupts.pendingVectors(this.#pba());
    return {
      msi: msi
        ? { registers: dwordsOf(msi).map((at) => this.#config.read(at, 4)), pending: pending.msi }
        : null,
      msix: msix
        ? {
            enable: msix.state.enabled,
            functionMask: msix.state.masked,
            table: msix.state.table.toHex(),
            pending: pending.msix,
          }
        : null,
    };
  }

  /** The guest's PBA, whole. */
  #pba(): Uint8Array {
    const { msix } = this.#interrupts;
    if (!msix) return new Uint8Array(0);
    const data = new Uint8Array(new ArrayBuffer(msix.physical.pba.size));
    this.#readPba(data);
    this.#interrupts.addPending(data, 0, data.length, 0, true);
    return data;
  }

  /** The table first, then what enables it, then what waits. @throws RangeError for what the device cannot have */
  restore({ msi, msix }: InterruptsState): void {
    const here = this.#interrupts;
    if ((msix?.table.length ?? 0) !== 2 * (here.msix?.state.table.length ?? 0))
      throw new RangeError("its MSI-X table has another size");
    if ((msi?.registers.length ?? 0) !== (here.msi ? dwordsOf(here.msi).length : 0))
      throw new RangeError("its MSI capability has another size");
    checkPending("MSI", msi?.pending, here.msi?.state.layout.vectors);
    checkPending("MSI-X", msix?.pending, here.msix?.state.vectors);
    if (msix?.enable && msi && isMsiOn(msi.registers[0]!))
      throw new RangeError("it has MSI and MSI-X on at once");
    if (msix && here.msix) this.#restoreMsix(here.msix, msix);
    if (msi && here.msi) this.#restoreMsi(here.msi, msi);
  }

  #restoreMsix(
    { routing, capability }: MsixParts,
    { enable, functionMask, table, pending }: NonNullable<InterruptsState["msix"]>,
  ): void {
    const bytes = Uint8Array.fromHex(table);
    for (let at = 0; at < bytes.length; at += entrySize)
      this.#interrupts.tableWrite(at, bytes, at, entrySize);
    for (const vector of pending) routing.restorePending(vector);
    const registers = msixCapability.view(this.#config.view, capability.offset);
    registers.controlFunctionMask = functionMask;
    registers.controlEnable = enable;
    this.#interrupts.msixControlWritten();
  }

  #restoreMsi(msi: MsiParts, { registers, pending }: NonNullable<InterruptsState["msi"]>): void {
    for (const [i, at] of dwordsOf(msi).entries()) this.#config.store(at, 4, registers[i]!);
    this.#interrupts.msiWritten();
    for (const vector of pending) msi.routing.restorePending(vector);
  }
}

/** @throws RangeError for a vector that the device does not have */
function checkPending(name: string, pending: readonly number[] = [], vectors = 0): void {
  const wrong = pending.find((vector) => vector >= vectors);
  if (wrong !== undefined)
    throw new RangeError(`${name} vector ${wrong} is pending, and the device has ${vectors}`);
}

/** Where the dwords of a capability are. */
function dwordsOf({ state: { layout } }: MsiParts): ConfigOffset[] {
  const count = Math.ceil(layout.length / 4);
  return Array.from({ length: count }, (_, i) => startOf({ offset: layout.offset + 4 * i }));
}
