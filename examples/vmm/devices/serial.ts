// The serial port of a PC (16550A), as far as drivers look: a console. What is sent goes out at once, so its transmitter is
// always empty; what comes in waits until the guest has taken it.
import type { TrapTarget } from "bun-vfio/kvm";

const register = { data: 0, ier: 1, iir: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, scr: 7 } as const;
const ier = { received: 1 << 0, empty: 1 << 1 } as const;
const iir = { none: 0x01, empty: 0x02, received: 0x04, fifos: 0xc0 } as const;
const lcr = { divisor: 1 << 7 } as const;
const mcr = { dtr: 1 << 0, rts: 1 << 1, out1: 1 << 2, out2: 1 << 3, loop: 1 << 4 } as const;
const lsr = { ready: 1 << 0, empty: 0x60 } as const;
/** Clear to send, data set ready, carrier: somebody is there. */
const connected = 0xb0;
/** Input that a guest does not take is not kept for ever. */
const mostInput = 64 * 1024;

export interface SerialLines {
  /** Takes a byte that the guest sends. */
  send(byte: number): void;
  /** The level of the interrupt line. */
  setIrq(high: boolean): void;
}

/** What of it a snapshot holds. */
export interface SerialState {
  readonly registers: readonly number[];
  readonly input: readonly number[];
}

export class Serial implements TrapTarget {
  readonly #lines: SerialLines;
  #ier = 0;
  #lcr = 3;
  #mcr = 0;
  #scratch = 0;
  #divisor = 1;
  #hasFifos = false;
  /** The transmitter has become empty, and the guest was not told yet. */
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

  get #pending(): number {
    if (this.#ier & ier.received && this.#input.length > 0) return iir.received;
    return this.#ier & ier.empty && this.#tellsEmpty ? iir.empty : iir.none;
  }

  #update(): void {
    const high = this.#pending !== iir.none && (this.#mcr & mcr.loop) === 0;
    if (high !== this.#irq) this.#lines.setIrq((this.#irq = high));
  }

  ioRead(port: number, data: Uint8Array): void {
    data.fill(0);
    data[0] = this.#read(port & 7);
    this.#update();
  }

  #read(at: number): number {
    const selectsDivisor = (this.#lcr & lcr.divisor) !== 0;
    switch (at) {
      case register.data:
        return selectsDivisor ? this.#divisor & 0xff : (this.#input.shift() ?? 0);
      case register.ier:
        return selectsDivisor ? this.#divisor >> 8 : this.#ier;
      case register.iir: {
        const pending = this.#pending;
        // Reading that it is empty is the acknowledgement.
        if (pending === iir.empty) this.#tellsEmpty = false;
        return pending | (this.#hasFifos ? iir.fifos : 0);
      }
      case register.lcr:
        return this.#lcr;
      case register.mcr:
        return this.#mcr;
      case register.lsr:
        return lsr.empty | (this.#input.length > 0 ? lsr.ready : 0);
      case register.msr:
        return this.#mcr & mcr.loop ? this.#loopedBack() : connected;
      default:
        return this.#scratch;
    }
  }

  /** The modem's lines are those that the port itself drives: how drivers find out that it is one. */
  #loopedBack(): number {
    const wire = (from: number, to: number): number => (this.#mcr & from ? to : 0);
    return wire(mcr.rts, 0x10) | wire(mcr.dtr, 0x20) | wire(mcr.out1, 0x40) | wire(mcr.out2, 0x80);
  }

  ioWrite(port: number, data: Uint8Array): void {
    this.#write(port & 7, data[0]!);
    this.#update();
  }

  #write(at: number, value: number): void {
    const selectsDivisor = (this.#lcr & lcr.divisor) !== 0;
    switch (at) {
      case register.data:
        if (selectsDivisor) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case register.ier:
        if (selectsDivisor) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else {
          this.#ier = value & 0x0f;
          if (value & ier.empty) this.#tellsEmpty = true;
        }
        break;
      case register.iir: // as written: FIFO control
        this.#hasFifos = (value & 1) !== 0;
        if (value & 2) this.#input = [];
        break;
      case register.lcr:
        this.#lcr = value;
        break;
      case register.mcr:
        this.#mcr = value & 0x1f;
        break;
      case register.scr:
        this.#scratch = value;
    }
  }

  #transmit(value: number): void {
    if (this.#mcr & mcr.loop) this.receive([value]);
    else this.#lines.send(value);
    this.#tellsEmpty = true;
  }

  get state(): SerialState {
    const registers = [this.#ier, this.#lcr, this.#mcr, this.#scratch, this.#divisor, +this.#hasFifos];
    return { registers: [...registers, +this.#tellsEmpty], input: this.#input };
  }
  set state({ registers, input }: SerialState) {
    const [interrupts, line, modem, scratch, divisor, fifos, empty] = registers as [
      ...[number, number, number, number],
      ...[number, number, number],
    ];
    this.#ier = interrupts;
    this.#lcr = line;
    this.#mcr = modem;
    this.#scratch = scratch;
    this.#divisor = divisor;
    this.#hasFifos = fifos !== 0;
    this.#tellsEmpty = empty !== 0;
    this.#input = [...input];
    this.#update();
  }
}
