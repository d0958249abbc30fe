// The serial port of a PC (16550A), as far as drivers look: a console. What is sent goes out at once, so its transmitter is
// always empty; what comes in waits until the guest has taken it.
import type { TrapTarget } from "bun-vfio/kvm";

const register = { data: 0, ier: 1, iir: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, divisor: 8 } as const;
const ier = { received: 1 << 0, empty: 1 << 1 } as const;
const iir = { none: 0x01, empty: 0x02, received: 0x04, fifos: 0xc0 } as const;
const fifo = { enable: 1 << 0, clear: 1 << 1 } as const;
const divisorLatch = 1 << 7;
const mcr = { dtr: 1 << 0, rts: 1 << 1, out1: 1 << 2, out2: 1 << 3, loop: 1 << 4 } as const;
const lsr = { ready: 1 << 0, empty: 0x60 } as const;
/** Clear to send, data set ready, carrier: somebody is there. */
const connected = 0xb0;
/** The bits of each register that can be written; the divisor's two bytes come last. */
const writable = [0, 0x0f, 0, 0xff, 0x1f, 0, 0, 0xff, 0xff, 0xff];
/** Bytes of input: what a guest does not take is not kept for ever. */
export const mostInput = 64 * 1024;
/** Bytes of registers, the divisor's two with them. */
export const registerCount = 10;

export interface SerialLines {
  /** Takes a byte that the guest sends. */
  send(byte: number): void;
  /** The level of the interrupt line. */
  setIrq(high: boolean): void;
}

/** What of it a snapshot holds. */
export interface SerialState {
  readonly registers: readonly number[];
  readonly hasFifos: boolean;
  /** The transmitter has become empty, and the guest was not told yet. */
  readonly tellsEmpty: boolean;
  readonly input: readonly number[];
}

export class Serial implements TrapTarget {
  readonly #lines: SerialLines;
  readonly #registers = Uint8Array.of(0, 0, 0, 3, 0, 0, 0, 0, 1, 0);
  #hasFifos = false;
  #tellsEmpty = false;
  #input: number[] = [];
  #irq = false;

  constructor(lines: SerialLines) {
    this.#lines = lines;
  }

  /** Bytes for the guest. */
  receive(bytes: Iterable<number>): void {
    for (const byte of bytes) if (this.#input.length < mostInput) this.#input.push(byte);
    this.#update();
  }

  ioRead(port: number, data: Uint8Array): void {
    data.fill(0);
    data[0] = this.#read(this.#registerAt(port));
    this.#update();
  }

  ioWrite(port: number, data: Uint8Array): void {
    const at = this.#registerAt(port);
    const value = data[0]!;
    this.#registers[at] = value & writable[at]!;
    if (at === register.data) this.#transmit(value);
    if (at === register.ier && value & ier.empty) this.#tellsEmpty = true;
    if (at === register.iir) {
      this.#hasFifos = (value & fifo.enable) !== 0;
      if (value & fifo.clear) this.#input = [];
    }
    this.#update();
  }

  /** Data and interrupt enable become the divisor while the latch is open. */
  #registerAt(port: number): number {
    const at = port & 7;
    return at <= register.ier && this.#registers[register.lcr]! & divisorLatch ? register.divisor + at : at;
  }

  #read(at: number): number {
    if (at === register.data) return this.#input.shift() ?? 0;
    if (at === register.iir) {
      const pending = this.#pending;
      // Reading that it is empty is the acknowledgement.
      if (pending === iir.empty) this.#tellsEmpty = false;
      return pending | (this.#hasFifos ? iir.fifos : 0);
    }
    if (at === register.lsr) return lsr.empty | (this.#input.length > 0 ? lsr.ready : 0);
    if (at === register.msr) return this.#isLooped ? this.#loopedBack() : connected;
    return this.#registers[at]!;
  }

  #transmit(value: number): void {
    if (this.#isLooped) this.receive([value]);
    else this.#lines.send(value);
    this.#tellsEmpty = true;
  }

  get #isLooped(): boolean {
    return (this.#registers[register.mcr]! & mcr.loop) !== 0;
  }
  /** The modem's lines are those that the port itself drives: how drivers find out that it is one. */
  #loopedBack(): number {
    const wire = (from: number, to: number): number => (this.#registers[register.mcr]! & from ? to : 0);
    return wire(mcr.rts, 0x10) | wire(mcr.dtr, 0x20) | wire(mcr.out1, 0x40) | wire(mcr.out2, 0x80);
  }

  get #pending(): number {
    const enabled = this.#registers[register.ier]!;
    if (enabled & ier.received && this.#input.length > 0) return iir.received;
    return enabled & ier.empty && this.#tellsEmpty ? iir.empty : iir.none;
  }
  #update(): void {
    const high = this.#pending !== iir.none && !this.#isLooped;
    if (high !== this.#irq) this.#lines.setIrq((this.#irq = high));
  }

  get state(): SerialState {
    const registers = [...this.#registers];
    return { registers, hasFifos: this.#hasFifos, tellsEmpty: this.#tellsEmpty, input: this.#input };
  }
  set state({ registers, hasFifos, tellsEmpty, input }: SerialState) {
    this.#registers.set(registers);
    this.#hasFifos = hasFifos;
    this.#tellsEmpty = tellsEmpty;
    this.#input = [...input];
    this.#update();
  }
}
