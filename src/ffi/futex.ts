// Threads that sleep until another one wakes them, by futex(2): a word in memory that they share. `Atomics.wait` does the same by
// way of the engine, and a round trip over it takes three times as long; the two do not wake each other.
import { systemCalls } from "./system-calls.ts";
import { systemError } from "./system-error.ts";

/** FUTEX_WAIT and FUTEX_WAKE of linux/futex.h, with FUTEX_PRIVATE_FLAG: the threads are of one process. */
const operation = { wait: 128, wake: 129 } as const;
const errno = { interrupted: 4, again: 11, timedOut: 110 } as const;

/** How long a thread sleeps at most: `struct timespec`. */
export type FutexTimeout = BigUint64Array<ArrayBuffer>;

/** @param nanoseconds 0 to 2^53 - 1 */
export const futexTimeout = (nanoseconds: number): FutexTimeout =>
  BigUint64Array.of(BigInt(Math.floor(nanoseconds / 1e9)), BigInt(nanoseconds % 1e9)) as FutexTimeout;

/**
 * Sleeps while the word has a value. A thread that sleeps here is not ended by `Worker.terminate` before it wakes: give it a
 * timeout.
 * @param word its first element, in shared memory
 * @returns false: the time is over. true: it was woken, or the word has another value, or neither: look again
 * @throws VfioError where the kernel has no futex for this process
 */
export function futexWait(word: Int32Array, value: number, timeout: FutexTimeout | null): boolean {
  const result = systemCalls().futex(word, operation.wait, value, timeout);
  if (result >= 0 || result === -errno.again || result === -errno.interrupted) return true;
  if (result === -errno.timedOut) return false;
  throw systemError("futex", -result, "a word that threads share");
}

/** Wakes a thread that sleeps on the word, if one does. @param word its first element, in shared memory @throws VfioError */
export function futexWake(word: Int32Array): void {
  const result = systemCalls().futex(word, operation.wake, 1, null);
  if (result < 0) throw systemError("futex", -result, "a word that threads share");
}
