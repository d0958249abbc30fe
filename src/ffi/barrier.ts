// What keeps the order of accesses that the compiler and the processor would otherwise change.
import { ptr, read, type Pointer } from "bun:ffi";

/** Memory of our own, which nobody else looks at. It starts as an ArrayBuffer and lives on, so its address stays. */
const own = new Int32Array(new ArrayBuffer(8));
const ownAt = ptr(own) as Pointer;

/**
 * Compiled code does not move, merge or drop stores across it: bun:ffi's `read` might look at any memory. Without it, of
 * three identical stores one is left.
 */
export const compilerBarrier = (): void => {
  read.u8(ownAt, 0);
};

/**
 * Orders accesses to ordinary memory before it and to a device after it, and the other way about, as the barriers in
 * Linux's readl() and writel() do. x86-64 keeps that order by itself. On aarch64 a store-release followed by a
 * load-acquire is between both (Arm ARM, B2.3.3); an own location suffices.
 */
export const orderAccesses =
  process.arch === "arm64"
    ? (): void => {
        Atomics.store(own, 0, 0);
        Atomics.load(own, 0);
      }
    : undefined;
