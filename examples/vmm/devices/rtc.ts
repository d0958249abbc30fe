// The clock with battery-backed memory of a PC (MC146818): the time of day, and how much memory there is.
import type { TrapTarget } from "bun-vfio/kvm";
import { GiB, KiB, MiB } from "../layout.ts";

const bcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);

/** @param size of the guest's RAM in bytes @param now the host's clock, in ms since 1970 */
export class Rtc implements TrapTarget {
  readonly #size: number;
  readonly #now: () => number;
  #index = 0;

  constructor(size: number, now: () => number = Date.now) {
    this.#size = size;
    this.#now = now;
  }

  ioWrite(port: number, data: Uint8Array): void {
    // Bit 7 masks NMIs, which nobody sends here. The clock cannot be set: it is the host's.
    if ((port & 1) === 0) this.#index = data[0]! & 0x7f;
  }

  ioRead(port: number, data: Uint8Array): void {
    data.fill(0);
    data[0] = (port & 1) === 0 ? 0xff : this.#register() & 0xff;
  }

  #register(): number {
    const time = new Date(this.#now());
    // Memory above 16 MiB up to the hole, and above 4 GiB, in units of 64 KiB.
    const below = Math.min(this.#size, 3 * GiB);
    const high = Math.max(0, below - 16 * MiB) / (64 * KiB);
    const above = (this.#size - below) / (64 * KiB);
    switch (this.#index) {
      case 0x00:
        return bcd(time.getUTCSeconds());
      case 0x02:
        return bcd(time.getUTCMinutes());
      case 0x04:
        return bcd(time.getUTCHours());
      case 0x06:
        return time.getUTCDay() + 1;
      case 0x07:
        return bcd(time.getUTCDate());
      case 0x08:
        return bcd(time.getUTCMonth() + 1);
      case 0x09:
        return bcd(time.getUTCFullYear() % 100);
      case 0x32:
        return bcd(Math.floor(time.getUTCFullYear() / 100));
      case 0x0a: // a crystal of 32768 Hz, no update in progress
        return 0x26;
      case 0x0b: // 24 hours, BCD
        return 0x02;
      case 0x0d: // the battery is fine
        return 0x80;
      case 0x15: // 640 KiB of base memory
        return 640;
      case 0x16:
        return 640 >> 8;
      case 0x34:
        return high;
      case 0x35:
        return high >> 8;
      case 0x5b:
        return above;
      case 0x5c:
        return above >> 8;
      case 0x5d:
        return above >> 16;
      default:
        return 0;
    }
  }
}
