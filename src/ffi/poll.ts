// Waiting for one of several descriptors in this thread (ppoll(2)), over memory that is made once.
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { pollFlag } from "./constants.ts";
import { systemCalls, systemError } from "./system-calls.ts";

const descriptor = int32("a file descriptor");
const interrupted = 4;
/** struct pollfd: an int fd, a short events, a short revents. */
const pollfdSize = 8;

/** Descriptors to be waited for, up to a number given once. */
export class PollSet {
  readonly #memory: Int32Array<ArrayBuffer>;
  /** struct timespec: seconds, then nanoseconds, of 64 bits whose upper halves stay 0. */
  readonly #time = new Int32Array(new ArrayBuffer(16));
  #count = 0;

  /** Of none at first. @param capacity the most descriptors */
  constructor(capacity: number) {
    this.#memory = new Int32Array(new ArrayBuffer(pollfdSize * capacity));
  }

  /** Waits for these from now on. @throws RangeError for more than there is room for; TypeError, RangeError for one that is none */
  set(...fds: readonly number[]): void {
    if (2 * fds.length > this.#memory.length)
      throw new RangeError(`a poll set of ${this.#memory.length / 2} cannot hold ${fds.length} descriptors`);
    for (const fd of fds) checked(fd, descriptor);
    this.#count = fds.length;
    fds.forEach((fd, i) => {
      this.#memory[2 * i] = fd;
      this.#memory[2 * i + 1] = pollFlag.IN;
    });
  }

  /**
   * Waits until one can be read or has ended.
   * @param milliseconds at most; `Infinity` waits as long as it takes. A signal may end the wait early
   * @returns how many are ready; `isReady` says which
   * @throws VfioError
   */
  wait(milliseconds: number): number {
    const forever = milliseconds === Infinity;
    const whole = Math.min(Math.max(Math.ceil(milliseconds), 0), 0x7fff_ffff);
    this.#time[0] = forever ? 0 : Math.floor(whole / 1000);
    this.#time[2] = forever ? 0 : (whole % 1000) * 1_000_000;
    const ready = systemCalls().ppoll(this.#memory, this.#count, forever ? null : this.#time, null, 0);
    if (ready < 0 && ready !== -interrupted) throw systemError("ppoll", -ready, "several descriptors");
    return Math.max(ready, 0);
  }

  /** Whether the descriptor at an index of `set` was ready when `wait` returned. */
  isReady(index: number): boolean {
    return this.#memory[2 * index + 1]! >>> 16 !== 0;
  }
}
