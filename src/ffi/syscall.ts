/** One system call, after it. */
export interface Syscall {
  /** As its manual page has it. */
  readonly name: string;
  /** As passed; a buffer is the one that the kernel has read or filled, so it is to be looked at now or copied. */
  readonly args: readonly unknown[];
  /** What it returned. */
  readonly result: number | bigint;
  /** Where it failed: as EBUSY, 16. */
  readonly code: string | undefined;
  /** Undefined where it did not fail. */
  readonly errno: number | undefined;
  /** How long it took, a microsecond or less of it for the tracing. */
  readonly microseconds: number;
}
/** Told of each system call when it has returned, in the thread that made it. */
export type SyscallListener = (call: Syscall) => void;
