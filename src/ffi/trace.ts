import { chooseCalls } from "./system-calls.ts";
import { syscallListeners } from "./syscall-trace.ts";
import type { SyscallListener } from "./syscall.ts";

export { formatSyscall } from "./syscall-text.ts";
export type { Syscall, SyscallListener } from "./syscall.ts";

/**
 * Tells `listener` of each system call that this library makes on this thread, after it. `BUN_VFIO_TRACE=1` in the
 * environment prints them to stderr. Without either, calls cost nothing more. What the listener throws comes out of the
 * call that it was told of.
 * @returns disposing of it ends that
 */
export function traceSyscalls(listener: SyscallListener): Disposable {
  // An own function each time: the same listener may be given twice, and each ends by itself.
  const own: SyscallListener = (call) => listener(call);
  syscallListeners.add(own);
  chooseCalls();
  return {
    [Symbol.dispose]: () => {
      syscallListeners.delete(own);
      chooseCalls();
    },
  };
}
