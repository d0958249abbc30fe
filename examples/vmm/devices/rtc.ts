// The clock of a PC (MC146818): the time of day, which is the host's and cannot be set.
import type { TrapTarget } from "bun-vfio/kvm";

const bcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);

/** Registers by their index; all others are memory that is empty. */
const registers: Readonly<Record<number, (time: Date) => number>> = {
  0x00: (time) => bcd(time.getUTCSeconds()),
  0x02: (time) => bcd(time.getUTCMinutes()),
  0x04: (time) => bcd(time.getUTCHours()),
  0x06: (time) => time.getUTCDay() + 1,
  0x07: (time) => bcd(time.getUTCDate()),
  0x08: (time) => bcd(time.getUTCMonth() + 1),
  0x09: (time) => bcd(time.getUTCFullYear() % 100),
  0x0a: () => 0x26, // a crystal of 32768 Hz, no update in progress
  0x0b: () => 0x02, // 24 hours, BCD
  0x0d: () => 0x80, // the battery is fine
  0x32: (time) => bcd(Math.floor(time.getUTCFullYear() / 100)),
};

/** Two ports: which register, and what is in it. @param now the host's clock, in ms since 1970 */
export function realTimeClock(now: () => number = Date.now): TrapTarget {
  let index = 0;
  return {
    ioWrite: (port, data) => {
      // Bit 7 masks NMIs, which nobody sends here.
      if ((port & 1) === 0) index = data[0]! & 0x7f;
    },
    ioRead: (port, data) => {
      data.fill(0);
      data[0] = (port & 1) === 0 ? 0xff : (registers[index]?.(new Date(now())) ?? 0);
    },
  };
}
