// What is taken of the C library through bun:ffi: the means to do without it (see machine-code.ts), and syscall(2) for
// where it has to do.
import { dlopen, FFIType, read, toArrayBuffer, type FFITypeOrString, type Pointer } from "bun:ffi";
import { mapFlag, protection } from "./constants.ts";
import { VfioError } from "./errors.ts";

// glibc's name, then musl's.
const names = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  mmap: { args: ["u64", "u64", "i32", "i32", "i32", "i64"], returns: FFIType.i64_fast },
  mprotect: { args: ["u64", "u64", "i32"], returns: "i32" },
  munmap: { args: ["u64", "u64"], returns: "i32" },
  sysconf: { args: ["i32"], returns: FFIType.i64_fast },
} as const;

function open<Symbols extends Parameters<typeof dlopen>[1]>(wanted: Symbols) {
  for (const name of names) {
    try {
      return dlopen(name, wanted).symbols;
    } catch {
      // The other C library, then.
    }
  }
  throw new VfioError("no C library found: neither glibc nor musl on x86-64 or aarch64", {
    code: "ENOSYS",
    hint: "bun-vfio runs on Linux.",
  });
}

let opened: ReturnType<typeof open<typeof symbols>> | undefined;
const libc = () => (opened ??= open(symbols));

/** Of the C library's table of sysconf(3). @throws VfioError where there is no C library that is known */
export const sysconf = (name: number): number => Number(libc().sysconf(name));

/**
 * A page that holds machine code and can be written by nobody. It lasts as long as the process.
 * @returns its address; undefined on a host that does not allow that
 * @throws VfioError where there is no C library that is known
 */
export function executable(code: Uint8Array): number | undefined {
  const { mmap, mprotect, munmap } = libc();
  const anonymous = mapFlag.PRIVATE | mapFlag.ANONYMOUS;
  const address = Number(mmap(0, code.length, protection.READ | protection.WRITE, anonymous, -1, 0));
  if (address === -1) return undefined;
  new Uint8Array(toArrayBuffer(address as Pointer, 0, code.length)).set(code);
  // Executable only now, and no longer writable: on aarch64 the kernel makes the instruction cache see the code when it
  // makes the page executable.
  if (mprotect(address, code.length, protection.READ | protection.EXEC) === 0) return address;
  munmap(address, code.length);
  return undefined;
}

/**
 * A system call by the C library's syscall(2).
 * @returns a function that returns what the kernel does: a value, or -errno, unless the engine has called the C library between
 * the call and the reading of errno
 */
export function callByLibc(
  number: number,
  args: readonly FFITypeOrString[],
): (...args: readonly unknown[]) => number {
  const { syscall } = open({ syscall: { args: ["i64", ...args], returns: FFIType.i64_fast } });
  const call = syscall as (...args: unknown[]) => number;
  // Found now, so that only a load lies between a failing call and its errno. Each thread has its own.
  const errnoAt = libc().__errno_location() as Pointer;
  return (...given) => {
    const result = Number(call(number, ...given));
    return result === -1 ? -read.i32(errnoAt, 0) : result;
  };
}
