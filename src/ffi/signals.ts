// Signals to one thread of this process, for calls that only a signal ends (KVM_RUN). The signal stays blocked in the
// thread, so that no handler runs and nothing else is interrupted: it ends the one call that lets it through, and is then
// taken from the queue.
import { signalMask, signalNumber } from "./constants.ts";
import { VfioError } from "./errors.ts";
import { systemCalls, systemError } from "./system-calls.ts";

/** SIGUSR2. JavaScriptCore uses SIGUSR1 or SIGPWR for itself, glibc the first two real-time signals. */
export const kickSignal = signalNumber.USR2;

/** The kernel's `sigset_t`. */
const setBytes = 8;
const noThread = 3;

/** A signal in a kernel's signal set of 64 bits. */
export const signalBit = (signal: number): bigint => 1n << BigInt(signal - 1);

const setOf = (bits: bigint): BigUint64Array<ArrayBuffer> => {
  const set = new BigUint64Array(new ArrayBuffer(setBytes));
  set[0] = bits;
  return set;
};

/** The kernel's number of the calling thread (gettid(2)). */
export const threadId = (): number => systemCalls().gettid();

/** Of this thread: how many hold the signal, and what was blocked before the first did. */
const holders = new Map<number, { count: number; before: bigint }>();

/** A signal that this thread keeps blocked. */
export interface HeldSignal extends Disposable {
  /** The signals that were blocked before the first in this thread held this one, 64 bits. */
  readonly before: bigint;
}

/**
 * Blocks a signal in the calling thread. `dispose`, in the same thread, takes what waits and unblocks it, once all that
 * hold it are disposed of; where the kernel refuses that, it throws, and can be called again. @throws VfioError
 */
export function holdSignal(signal: number): HeldSignal {
  let held = holders.get(signal);
  if (held) held.count++;
  else holders.set(signal, (held = { count: 1, before: changeMask(signalMask.BLOCK, signal) }));
  const { before } = held;
  let disposed = false;
  return {
    before,
    [Symbol.dispose]() {
      if (disposed) return;
      if (held.count === 1) {
        takeSignal(signal);
        if ((before & signalBit(signal)) === 0n) changeMask(signalMask.UNBLOCK, signal);
        holders.delete(signal);
      }
      held.count--;
      disposed = true;
    },
  };
}

/** @returns the signals that were blocked before, 64 bits */
function changeMask(how: number, signal: number): bigint {
  const before = setOf(0n);
  const result = systemCalls().rt_sigprocmask(how, setOf(signalBit(signal)), before, setBytes);
  if (result < 0) throw systemError("rt_sigprocmask", -result, `signal ${signal}`);
  return before[0]!;
}

/** Takes a blocked signal from the calling thread's queue; false where none waits. */
export function takeSignal(signal: number): boolean {
  const now = new BigInt64Array(new ArrayBuffer(16));
  return systemCalls().rt_sigtimedwait(setOf(signalBit(signal)), null, now, setBytes) === signal;
}

/**
 * Sends a signal to a thread of this process, which holds it: one that does not dies of it, and the process with it.
 * @param thread as `threadId` gave it there
 * @returns false where the thread has ended
 * @throws VfioError
 */
export function signalThread(thread: number, signal: number): boolean {
  // Above 31 bits the kernel would see another thread.
  if (!Number.isInteger(thread) || thread <= 0 || thread >= 2 ** 31)
    throw new VfioError(`there is no thread ${thread}`, { code: "ESRCH", errno: noThread });
  const result = systemCalls().tgkill(process.pid, thread, signal);
  if (result === 0) return true;
  if (result === -noThread) return false;
  throw systemError("tgkill", -result, `thread ${thread}`);
}
