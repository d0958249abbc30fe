import type { Eventfd } from "../../ffi/eventfd.ts";

/**
 * The INTx line as vfio-pci keeps it (drivers/vfio/pci/vfio_pci_intrs.c, Linux 6.12): masked whenever it fires, by
 * request, and by the user's interrupt disable bit.
 */
export class FunctionIntx {
  /** Whether the line is the kind of interrupt that is on. */
  #on = false;
  #trigger: Eventfd | undefined;
  #unmask: Eventfd | undefined;
  #masked = false;
  /** Asserted while masked. */
  #pending = false;
  /** The device drives the line: it is heard again each time that it is unmasked. */
  #asserted = false;
  /** The user's interrupt disable bit. */
  #disabled = false;

  /** @param trigger owned from now on; undefined takes the one that is there away, and the line stays on */
  enable(trigger: Eventfd | undefined): void {
    this.#trigger?.[Symbol.dispose]();
    this.#trigger = trigger;
    if (this.#on) return;
    this.#on = true;
    this.#masked = this.#disabled;
    if (this.#asserted && !this.#masked) this.#fire();
  }

  disable(): void {
    this.#trigger?.[Symbol.dispose]();
    this.#unmask?.[Symbol.dispose]();
    this.#trigger = undefined;
    this.#unmask = undefined;
    this.#on = false;
    this.#masked = false;
    this.#pending = false;
  }

  /** @param unmask owned from now on @returns false where there is one already */
  setUnmask(unmask: Eventfd | undefined): boolean {
    if (unmask && this.#unmask) {
      unmask[Symbol.dispose]();
      return false;
    }
    this.#unmask?.[Symbol.dispose]();
    this.#unmask = unmask;
    this.poll();
    return true;
  }

  mask(): void {
    this.#masked = true;
  }

  unmask(): void {
    if (!this.#on || !this.#masked || this.#disabled) return;
    this.#masked = false;
    if (this.#pending || this.#asserted) this.#fire();
  }

  /** Signals the eventfd as a test of the path, whatever is masked but for the interrupt disable bit. */
  loopBack(): void {
    if (!this.#disabled) this.#trigger?.signal();
  }

  setDisabled(disabled: boolean): void {
    if (disabled === this.#disabled) return;
    this.poll();
    this.#disabled = disabled;
    if (disabled) this.#masked = true;
    else this.unmask();
  }

  /** The device asserts the line once. @returns whether somebody hears of it, now or once unmasked */
  raise(): boolean {
    if (!this.#on) return false;
    this.poll();
    if (!this.#masked) return this.#fire();
    return (this.#pending = true);
  }

  /** The device drives the line, or no longer does. */
  setLine(asserted: boolean): void {
    this.poll();
    const rises = asserted && !this.#asserted;
    this.#asserted = asserted;
    if (rises && this.#on && !this.#masked) this.#fire();
  }

  #fire(): boolean {
    // Level-triggered, it would fire for ever: the host masks it until somebody has looked.
    this.#masked = true;
    this.#pending = false;
    this.#trigger?.signal();
    return this.#trigger !== undefined;
  }

  /** The unmask eventfd works without a call: the kernel hears it at once, this model when it looks. */
  poll(): void {
    if (!this.#unmask?.isReady()) return;
    this.#unmask.drain();
    this.unmask();
  }

  /** The device takes back what it was about to say, as at a reset. What the host has set up stays. */
  forget(): void {
    this.#pending = false;
    this.#asserted = false;
  }
}
