import { readlinkSync } from "node:fs";
import { eventfdFlag, fcntlCommand, pollFlag } from "./constants.ts";
import { checked, int32, uint32, type IntegerRange } from "../regs/ioctl/integer.ts";
import { VfioError } from "./errors.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { systemCalls, systemError } from "./system-calls.ts";

const interrupted = 4;
const again = 11;
const descriptor = int32("a file descriptor");
const events: IntegerRange = { ...uint32("a count of events"), min: 1, max: Number.MAX_SAFE_INTEGER };

/** Whether a descriptor can be read without waiting; takes nothing from it. */
export function isReadable(fd: number): boolean {
  return waitReadable(fd, 0);
}

/**
 * Waits until a descriptor can be read; takes nothing from it. The whole thread stands still meanwhile: on an event loop,
 * `EventfdListener` is the better way.
 * @param milliseconds at most, 0 or more; a signal may end the wait early
 */
export function waitReadable(fd: number, milliseconds: number): boolean {
  // struct pollfd: an int fd, a short events, a short revents; little-endian on every machine that this runs on.
  const request = new Int32Array(new ArrayBuffer(8));
  request[0] = checked(fd, descriptor);
  request[1] = pollFlag.IN;
  const ready = systemCalls().ppoll(request, 1, timeOf(milliseconds), null, 0);
  if (ready < 0 && ready !== -interrupted) throw systemError("ppoll", -ready, `descriptor ${fd}`);
  return ready > 0 && ((request[1] >>> 16) & pollFlag.IN) !== 0;
}

/** struct timespec: seconds, then nanoseconds, of 64 bits whose upper halves stay 0. One for all waits of this thread. */
const time = new Int32Array(new ArrayBuffer(16));

function timeOf(milliseconds: number): Int32Array {
  const whole = Math.min(Math.max(Math.ceil(milliseconds), 0), 0x7fff_ffff);
  time[0] = Math.floor(whole / 1000);
  time[2] = (whole % 1000) * 1_000_000;
  return time;
}

/**
 * Adds to the counter of the eventfd behind a descriptor. A counter that is full keeps its events: that is no error.
 * @param count of events, 1 to 2^53 - 1 @throws TypeError, RangeError for another
 */
export function signalEventfd(fd: number, count = 1): void {
  const value = new BigUint64Array(new ArrayBuffer(8));
  value[0] = BigInt(checked(count, events));
  const result = systemCalls().write(checked(fd, descriptor), value, 8);
  if (result < 0 && result !== -again) throw systemError("write", -result, `eventfd ${fd}`);
}

/** Takes the counter of the eventfd behind a descriptor: the events since the last time, 0 if there was none. */
export function drainEventfd(fd: number): number {
  const value = new BigUint64Array(new ArrayBuffer(8));
  const result = systemCalls().read(checked(fd, descriptor), value, 8);
  if (result < 0 && result !== -again) throw systemError("read", -result, `eventfd ${fd}`);
  return Number(value[0]);
}

/** A counter of events that other processes, the kernel and devices signal (eventfd(2)). Owned: `dispose` closes it. */
export class Eventfd extends FileDescriptor {
  /**
   * A new counter, nonblocking; or a descriptor of one's own for a counter that is there. Closed on exec.
   * @param of a descriptor of an eventfd: the new one outlives it
   * @throws VfioError, as EMFILE where no descriptor is left, EBADF or EINVAL where `of` is no eventfd
   */
  constructor(of?: number) {
    const fd =
      of === undefined
        ? systemCalls().eventfd2(0, eventfdFlag.NONBLOCK | eventfdFlag.CLOEXEC)
        : systemCalls().fcntl(of, fcntlCommand.DUPFD_CLOEXEC, 0);
    if (fd < 0)
      throw of === undefined
        ? systemError("eventfd2", -fd, "a new eventfd")
        : systemError("fcntl", -fd, `descriptor ${of}`);
    super(fd, "the eventfd");
    if (of === undefined || isEventfd(fd)) return;
    this[Symbol.dispose]();
    throw new VfioError(`descriptor ${of} is not an eventfd`, { code: "EINVAL", errno: 22 });
  }

  /** Adds to the counter, as a device does. @param count at least 1 @throws VfioError */
  signal(count = 1): void {
    signalEventfd(this.fd, count);
  }
  /** Takes the events since the last time; 0 if there was none. */
  drain(): number {
    return drainEventfd(this.fd);
  }
  /** Whether an event waits; takes nothing. */
  isReady(): boolean {
    return isReadable(this.fd);
  }
}

/** Where there is no /proc to look, a descriptor passes for what it should be. */
function isEventfd(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:[eventfd]";
  } catch {
    return true;
  }
}
