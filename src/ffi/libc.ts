// The C library through bun:ffi: one table of symbols, opened when first used. Buffers are passed as views, never
// as addresses kept from before: a small typed array moves when its buffer is first looked at.
import { dlopen, read, type Pointer } from "bun:ffi";
import { errnoName } from "./errno.ts";
import { VfioError } from "./errors.ts";

const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  // A count of 8 bytes fits an int; larger transfers will get functions of their own.
  read: { args: ["i32", "ptr", "u64"], returns: "i32" },
  write: { args: ["i32", "ptr", "u64"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  // Variadic in C; a third argument that is an int travels alike on Linux, x86-64 and aarch64.
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "u64" },
  madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
  munmap: { args: ["u64", "u64"], returns: "i32" },
} as const;

function open() {
  // glibc's name, then musl's.
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The other C library, then.
    }
  }
  throw new VfioError("no C library found: neither glibc nor musl on x86-64 or aarch64", {
    code: "ENOSYS",
    hint: "bun-vfio runs on Linux.",
  });
}

let loaded: ReturnType<typeof open> | undefined;
let errnoAt: Pointer | undefined;

/** The C library's functions. @throws VfioError where there is no C library that is known */
export function libc(): ReturnType<typeof open> {
  if (loaded) return loaded;
  const opened = open();
  // Found now, so that nothing but a load lies between a failing call and its errno.
  errnoAt = opened.__errno_location() as Pointer;
  return (loaded = opened);
}

/** Errno of the last call of this thread. To be read straight after the call, with nothing in between. */
export const lastErrno = (): number => read.i32(errnoAt!, 0);

/** The error of a failed system call. @param errno as `lastErrno` gave it straight after the call */
export function systemError(syscall: string, errno: number, what: string): VfioError {
  const code = errnoName(errno);
  return new VfioError(`${what}: ${syscall} fails with ${code}`, { code, errno, syscall });
}
