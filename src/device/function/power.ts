// Power states as vfio-pci enters them at its user's request.
import { offsetOf, type Located } from "../pci/config-offset.ts";
import type { FunctionHardware } from "./hardware.ts";
import { d3hot, hasPowerState, noSoftReset, powerState } from "./registers.ts";

/** The power state of a recorded function (pci_set_power_state in drivers/pci/pci.c, Linux 6.12). */
export class FunctionPower {
  readonly #hardware: FunctionHardware;
  readonly #registers: DataView;
  readonly #capability: Located | undefined;
  #state = 0;

  /** @param capability of power management that the kernel uses */
  constructor(hardware: FunctionHardware, capability: Located | undefined) {
    this.#hardware = hardware;
    this.#registers = new DataView(hardware.config.buffer);
    this.#capability = capability;
  }

  /** D0 to D3hot. */
  get state(): number {
    return this.#state;
  }

  /** Goes to a state that the device has, from D0 down or back to D0. @param capability that the user wrote to */
  enter(capability: Located, state: number): void {
    const { offset } = capability;
    const exists =
      state === 0 || state === d3hot || (hasPowerState[state]?.read(this.#registers, offset) ?? false);
    if (!exists || (state !== 0 && state < this.#state)) return;
    // Without No_Soft_Reset the function may lose its registers: the host saves them on the way down and restores them.
    const mayForget = !noSoftReset.read(this.#registers, offset);
    if (mayForget && state === d3hot && this.#state < d3hot) this.#hardware.sleep();
    if (mayForget && state === 0 && this.#state === d3hot) this.#hardware.wake();
    if (state === 0) return this.awake(capability);
    this.#state = state;
    powerState.write(this.#registers, powerState.of(state << powerState.lo), offset);
  }

  /** To D0, as the host does at the user's request and before a reset: with a 0 to all of the register. What else was in it is gone. */
  awake(capability: Located | undefined = this.#capability): void {
    if (this.#state === 0) return;
    this.#state = 0;
    if (!capability) return;
    this.#hardware.write(offsetOf(powerState.register, capability), Uint8Array.of(0, 0));
    powerState.write(this.#registers, "D0", capability.offset);
  }
}
