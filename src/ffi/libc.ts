// The C library through bun:ffi: one table of symbols, opened when first used. Buffers are passed as views, never
// as addresses kept from before: a small typed array moves when its buffer is first looked at.
import { dlopen, FFIType, read, type Pointer } from "bun:ffi";
import { VfioError } from "./errors.ts";
import { syscallListeners, tracedFunctions } from "./syscall-trace.ts";

export { systemError } from "./system-error.ts";

// Names that glibc and musl both have: on the 64-bit machines of this library, `pread` and its like take 64-bit
// offsets, and musl does not offer `pread64` to programs. A transfer ends at 0x7ffff000 bytes (read(2)), so an int
// holds its result. Addresses that are no buffer of ours travel as u64; `ptr` takes a view, and null for none.
const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  // Variadic in C, as are openat, fcntl and ioctl: one last argument travels alike on Linux, x86-64 and aarch64.
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i32" },
  write: { args: ["i32", "ptr", "u64"], returns: "i32" },
  pread: { args: ["i32", "ptr", "u64", FFIType.i64_fast], returns: "i32" },
  pwrite: { args: ["i32", "ptr", "u64", FFIType.i64_fast], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  ftruncate: { args: ["i32", FFIType.i64_fast], returns: "i32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  /** The argument is a struct of ours, or null. For requests that take a number, `ioctlInteger`. */
  ioctl: { args: ["i32", "u32", "ptr"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  mmap: { args: ["u64", "u64", "i32", "i32", "i32", "i64"], returns: "u64" },
  munmap: { args: ["u64", "u64"], returns: "i32" },
  mprotect: { args: ["u64", "u64", "i32"], returns: "i32" },
  madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
  msync: { args: ["u64", "u64", "i32"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  prlimit: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  sysconf: { args: ["i32"], returns: FFIType.i64_fast },
  /** For gettid and tgkill, which older C libraries do not have. */
  syscall: { args: ["i32", "i32", "i32", "i32"], returns: "i32" },
  pthread_sigmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sigtimedwait: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
} as const;

/** ioctl once more, for requests whose argument is a number and not an address. */
const integerForms = { ioctl: { args: ["i32", "u32", FFIType.u64_fast], returns: "i32" } } as const;

function open() {
  // glibc's name, then musl's.
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      const functions = dlopen(name, symbols).symbols;
      return { ...functions, ioctlInteger: dlopen(name, integerForms).symbols.ioctl };
    } catch {
      // The other C library, then.
    }
  }
  throw new VfioError("no C library found: neither glibc nor musl on x86-64 or aarch64", {
    code: "ENOSYS",
    hint: "bun-vfio runs on Linux.",
  });
}

type Libc = ReturnType<typeof open>;

let plain: Libc | undefined;
/** The plain functions, or those that tell the trace's listeners. */
let current: Libc | undefined;
let errnoAt: Pointer | undefined;

/** The C library's functions: to be asked for at each call. @throws VfioError where there is no C library that is known */
export const libc = (): Libc => current ?? chooseLibc();

/** Goes over to traced functions if somebody listens, and back if nobody does. */
export function chooseLibc(): Libc {
  plain ??= open();
  // Found now, so that nothing but a load lies between a failing call and its errno. Each thread has its own.
  errnoAt ??= plain.__errno_location() as Pointer;
  return (current = syscallListeners.size > 0 ? tracedFunctions(plain, errnoAt) : plain);
}

/** Errno of the last call of this thread. To be read straight after the call, with nothing in between. */
export const lastErrno = (): number => read.i32(errnoAt!, 0);
