// The system calls that this library makes, as Linux numbers them on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) and on
// aarch64 (include/uapi/asm-generic/unistd.h). Only those that both have: aarch64 has no open, poll, epoll_wait, getrlimit.
import { FFIType } from "bun:ffi";

/** Results that may be an address, or -errno. */
const long = FFIType.i64_fast;

// A transfer ends at 0x7ffff000 bytes (read(2)), so an int holds its result. Addresses that are no buffer of ours travel as
// u64; `ptr` takes a view, and null for none.
export const callTable = {
  read: { numbers: [0, 63], args: ["i32", "ptr", "u64"], returns: "i32" },
  write: { numbers: [1, 64], args: ["i32", "ptr", "u64"], returns: "i32" },
  close: { numbers: [3, 57], args: ["i32"], returns: "i32" },
  fstat: { numbers: [5, 80], args: ["i32", "ptr"], returns: "i32" },
  mmap: { numbers: [9, 222], args: ["u64", "u64", "i32", "i32", "i32", "i64"], returns: long },
  munmap: { numbers: [11, 215], args: ["u64", "u64"], returns: "i32" },
  rt_sigprocmask: { numbers: [14, 135], args: ["i32", "ptr", "ptr", "u64"], returns: "i32" },
  /** The argument is a struct of ours, or null. For requests that take a number, `ioctlInteger`. */
  ioctl: { numbers: [16, 29], args: ["i32", "u32", "ptr"], returns: "i32" },
  ioctlInteger: { numbers: [16, 29], args: ["i32", "u32", FFIType.u64_fast], returns: "i32" },
  /** The kernel's pread64: one argument of 64 bits on these machines. */
  pread: { numbers: [17, 67], args: ["i32", "ptr", "u64", long], returns: "i32" },
  pwrite: { numbers: [18, 68], args: ["i32", "ptr", "u64", long], returns: "i32" },
  madvise: { numbers: [28, 233], args: ["u64", "u64", "i32"], returns: "i32" },
  socket: { numbers: [41, 198], args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { numbers: [42, 203], args: ["i32", "ptr", "u32"], returns: "i32" },
  sendto: { numbers: [44, 206], args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i32" },
  sendmsg: { numbers: [46, 211], args: ["i32", "ptr", "i32"], returns: "i32" },
  recvmsg: { numbers: [47, 212], args: ["i32", "ptr", "i32"], returns: "i32" },
  shutdown: { numbers: [48, 210], args: ["i32", "i32"], returns: "i32" },
  bind: { numbers: [49, 200], args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { numbers: [50, 201], args: ["i32", "i32"], returns: "i32" },
  socketpair: { numbers: [53, 199], args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  setsockopt: { numbers: [54, 208], args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { numbers: [55, 209], args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  fcntl: { numbers: [72, 25], args: ["i32", "i32", "i32"], returns: "i32" },
  ftruncate: { numbers: [77, 46], args: ["i32", long], returns: "i32" },
  rt_sigtimedwait: { numbers: [128, 137], args: ["ptr", "ptr", "ptr", "u64"], returns: "i32" },
  fchmod: { numbers: [91, 52], args: ["i32", "u32"], returns: "i32" },
  /** Of a 32-bit word that threads share; the timeout is two u64, or null. */
  futex: { numbers: [202, 98], args: ["ptr", "i32", "u32", "ptr"], returns: "i32" },
  gettid: { numbers: [186, 178], args: [], returns: "i32" },
  /** An AIO context is the address of its ring. */
  io_setup: { numbers: [206, 0], args: ["u32", "ptr"], returns: "i32" },
  io_getevents: { numbers: [208, 4], args: [FFIType.u64_fast, long, long, "ptr", "ptr"], returns: "i32" },
  io_submit: { numbers: [209, 2], args: [FFIType.u64_fast, long, "ptr"], returns: "i32" },
  io_cancel: { numbers: [210, 3], args: [FFIType.u64_fast, "ptr", "ptr"], returns: "i32" },
  epoll_ctl: { numbers: [233, 21], args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  tgkill: { numbers: [234, 131], args: ["i32", "i32", "i32"], returns: "i32" },
  openat: { numbers: [257, 56], args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  ppoll: { numbers: [271, 73], args: ["ptr", "u64", "ptr", "ptr", "u64"], returns: "i32" },
  epoll_pwait: { numbers: [281, 22], args: ["i32", "ptr", "i32", "i32", "ptr", "u64"], returns: "i32" },
  accept4: { numbers: [288, 242], args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  eventfd2: { numbers: [290, 19], args: ["u32", "i32"], returns: "i32" },
  epoll_create1: { numbers: [291, 20], args: ["i32"], returns: "i32" },
  prlimit64: { numbers: [302, 261], args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  memfd_create: { numbers: [319, 279], args: ["ptr", "u32"], returns: "i32" },
} as const;

export type CallName = keyof typeof callTable;
/** Architectures by the names that Bun has for them, in the order of `numbers`. */
export const architectures = ["x64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

/** The kernel's number of a call. */
export const callNumber = (name: CallName, architecture: Architecture): number =>
  callTable[name].numbers[architectures.indexOf(architecture)]!;
