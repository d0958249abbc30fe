// Clocks of the kernel: one for all threads, where Bun's own start with each of them, and the processor's for this one.
import { dlopen } from "bun:ffi";

const monotonic = 1;
const threadProcessor = 3;
const time = new BigInt64Array(new ArrayBuffer(16));

function open() {
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`])
    try {
      return dlopen(name, { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } } as const).symbols;
    } catch {
      // The other C library, then.
    }
  throw new Error("no C library found");
}
const libc = open();

function read(clock: number): bigint {
  libc.clock_gettime(clock, time);
  return time[0]! * 1_000_000_000n + time[1]!;
}

/** Nanoseconds of CLOCK_MONOTONIC. */
export const now = (): bigint => read(monotonic);
/** Nanoseconds that this thread has had a processor (CLOCK_THREAD_CPUTIME_ID): other work on the machine is not in it. */
export const processorTime = (): bigint => read(threadProcessor);
