import type { ImageIrq } from "../../image/image.ts";
import { Eventfd } from "../../ffi/eventfd.ts";
import { VfioError } from "../../ffi/errors.ts";
import { IrqIndex, type IrqRequest } from "../../regs/vfio/irqs.ts";
import { FunctionIntx } from "./intx.ts";
import type { VectorBits } from "./vector-bits.ts";

/** Why a request is refused, as the kernel's errno name. */
export type Refusal = string | undefined;

/** Who has to be asked before a vector fires. */
export interface DeviceBits {
  readonly msi: VectorBits;
  readonly msix: VectorBits;
}

/**
 * Interrupts as vfio-pci keeps them (drivers/vfio/pci/vfio_pci_intrs.c, Linux 6.12): one kind is on at a time, with an
 * eventfd a vector. Eventfds are held like the kernel holds them: the user may close its own.
 */
export class FunctionIrqs implements Disposable {
  readonly #irqs: readonly ImageIrq[];
  readonly #bits: DeviceBits;
  /** The kind that is on; undefined for none. */
  #active: number | undefined;
  /** Eventfds of the active kind's vectors that the host has allocated. */
  #vectors: (Eventfd | undefined)[] = [];
  readonly #intx = new FunctionIntx();
  /** Eventfds of the error and request notifications. */
  readonly #single = new Map<number, Eventfd>();

  constructor(irqs: readonly ImageIrq[], bits: DeviceBits) {
    this.#irqs = irqs;
    this.#bits = bits;
  }

  /** The kind that is on, and how many of its vectors the host has allocated. */
  get mode(): { readonly active: number | undefined; readonly vectors: number } {
    return { active: this.#active, vectors: this.#vectors.length };
  }

  /** One VFIO_DEVICE_SET_IRQS. @returns why it is refused */
  set(request: IrqRequest): Refusal {
    const { index, start, data, action } = request;
    const count = countOf(data);
    const limit = this.#irqs[index]?.count ?? 0;
    if (![start, count].every((value) => Number.isInteger(value) && value >= 0)) return "EINVAL";
    if (start >= limit || start + count > limit) return "EINVAL";
    this.#intx.poll();
    try {
      if (index === IrqIndex.intx)
        return action === "trigger" ? this.#triggerIntx(request, count) : this.#maskIntx(request, count);
      if (action !== "trigger") return "ENOTTY";
      if (index === IrqIndex.msi || index === IrqIndex.msix) return this.#triggerMsi(request, count);
      return index === IrqIndex.error || index === IrqIndex.request
        ? this.#triggerSingle(request, count)
        : "ENOTTY";
    } catch (error) {
      // A descriptor that is not open, or of something else than an eventfd.
      if (error instanceof VfioError) return error.code;
      throw error;
    }
  }

  #triggerIntx({ start, data }: IrqRequest, count: number): Refusal {
    const on = this.#active === IrqIndex.intx;
    if (on && count === 0 && data.kind === "none") return this.#off();
    if (!(on || this.#active === undefined) || start !== 0 || count !== 1) return "EINVAL";
    if (data.kind === "eventfd") {
      this.#intx.enable(hold(data.fds[0]!));
      this.#active = IrqIndex.intx;
      return undefined;
    }
    if (!on) return "EINVAL";
    if (data.kind === "none" || data.values[0]) this.#intx.loopBack();
    return undefined;
  }

  #maskIntx({ start, data, action }: IrqRequest, count: number): Refusal {
    if (this.#active !== IrqIndex.intx || start !== 0 || count !== 1) return "EINVAL";
    if (data.kind === "eventfd") {
      if (action === "mask") return "ENOTTY";
      return this.#intx.setUnmask(hold(data.fds[0]!)) ? undefined : "EBUSY";
    }
    if (data.kind === "bool" && !data.values[0]) return undefined;
    if (action === "mask") this.#intx.mask();
    else this.#intx.unmask();
    return undefined;
  }

  #triggerMsi({ index, start, data }: IrqRequest, count: number): Refusal {
    const on = this.#active === index;
    if (on && count === 0 && data.kind === "none") return this.#off();
    if (!(on || this.#active === undefined)) return "EINVAL";
    if (data.kind === "eventfd") {
      const needed = start + count;
      // pci_alloc_irq_vectors of no vectors.
      if (!on && needed === 0) return "ERANGE";
      if (!on) {
        this.#active = index;
        this.#vectors = Array.from({ length: needed }, () => undefined);
      }
      const refusal = this.#setBlock(index, start, data.fds);
      if (refusal !== undefined && !on) this.#off();
      if (refusal === undefined) this.sendHeld();
      return refusal;
    }
    if (!on) return "EINVAL";
    for (let i = 0; i < count; i++) if (data.kind === "none" || data.values[i]) this.#signal(start + i);
    return undefined;
  }

  /** Vector by vector; where one fails, those before it in the request lose their eventfds too. */
  #setBlock(index: number, start: number, fds: readonly number[]): Refusal {
    const grows = index === IrqIndex.msix && !this.#irqs[index]!.noResize;
    for (const [i, fd] of fds.entries()) {
      const vector = start + i;
      this.#vectors[vector]?.[Symbol.dispose]();
      if (vector < this.#vectors.length) this.#vectors[vector] = undefined;
      if (fd < 0) continue;
      let refusal: Refusal = vector < this.#vectors.length || grows ? undefined : "EINVAL";
      try {
        const eventfd = refusal === undefined ? hold(fd) : undefined;
        while (eventfd && this.#vectors.length <= vector) this.#vectors.push(undefined);
        if (eventfd) this.#vectors[vector] = eventfd;
      } catch (error) {
        if (!(error instanceof VfioError)) throw error;
        refusal = error.code;
      }
      if (refusal === undefined) continue;
      for (let undo = start; undo < vector; undo++) {
        this.#vectors[undo]?.[Symbol.dispose]();
        if (undo < this.#vectors.length) this.#vectors[undo] = undefined;
      }
      return refusal;
    }
    return undefined;
  }

  #triggerSingle({ index, data }: IrqRequest, count: number): Refusal {
    const held = this.#single.get(index);
    if (data.kind === "none") {
      if (!held) return "EINVAL";
      if (count > 0) held.signal();
      else this.#drop(index);
      return undefined;
    }
    if (count === 0) return "EINVAL";
    if (data.kind === "bool") {
      if (data.values[0]) held?.signal();
      return undefined;
    }
    const fd = data.fds[0]!;
    if (fd < -1) return "EINVAL";
    const eventfd = hold(fd);
    this.#drop(index);
    if (eventfd) this.#single.set(index, eventfd);
    return undefined;
  }

  #drop(index: number): void {
    this.#single.get(index)?.[Symbol.dispose]();
    this.#single.delete(index);
  }

  #off(): undefined {
    for (const eventfd of this.#vectors) eventfd?.[Symbol.dispose]();
    this.#intx.disable();
    this.#active = undefined;
    this.#vectors = [];
  }

  #signal(vector: number): boolean {
    const eventfd = this.#vectors[vector];
    eventfd?.signal();
    return eventfd !== undefined;
  }

  /** The user's interrupt disable bit, which masks the line as a request would. */
  setDisabled(disabled: boolean): void {
    this.#intx.setDisabled(disabled);
  }

  /** Sends the events of message vectors that the device held back, where it does so no longer. */
  sendHeld(): void {
    const bits =
      this.#active === IrqIndex.msi
        ? this.#bits.msi
        : this.#active === IrqIndex.msix
          ? this.#bits.msix
          : undefined;
    if (!bits) return;
    this.#vectors.forEach((eventfd, vector) => {
      if (!eventfd || bits.masked(vector) || !bits.pending(vector)) return;
      bits.setPending(vector, false);
      eventfd.signal();
    });
  }

  /** What the device's interrupt does. @returns whether somebody hears of it, now or once unmasked */
  raise(index: number, vector: number): boolean {
    if (index === IrqIndex.error || index === IrqIndex.request) {
      this.#single.get(index)?.signal();
      return this.#single.has(index);
    }
    if (this.#active === undefined || this.#active !== index || vector >= this.#irqs[index]!.count)
      return false;
    if (index === IrqIndex.intx) return this.#intx.raise();
    const bits = index === IrqIndex.msi ? this.#bits.msi : this.#bits.msix;
    // The host masks an MSI-X vector that nobody asked for at the device, where its event waits.
    const unheard = index === IrqIndex.msix && !this.#vectors[vector];
    if (!unheard && !bits.masked(vector)) return this.#signal(vector);
    bits.setPending(vector, true);
    return true;
  }

  /** The INTx line as the device drives it; it stays so until it says otherwise. */
  setLine(asserted: boolean): void {
    this.#intx.setLine(asserted);
  }

  /** Hears what was signalled without a call. */
  poll(): void {
    this.#intx.poll();
  }

  /** The device takes back what it was about to say, as at a reset. What the host has set up stays. */
  forget(): void {
    this.#intx.forget();
  }

  [Symbol.dispose](): void {
    this.#off();
    for (const index of [...this.#single.keys()]) this.#drop(index);
  }
}

const countOf = (data: IrqRequest["data"]): number =>
  data.kind === "none" ? data.count : data.kind === "bool" ? data.values.length : data.fds.length;

/** A descriptor of one's own for an eventfd; undefined for -1, which takes one away. */
const hold = (fd: number): Eventfd | undefined => (fd < 0 ? undefined : new Eventfd(fd));
