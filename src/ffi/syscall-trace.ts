import { writeSync } from "node:fs";
import { read, toArrayBuffer, type Pointer } from "bun:ffi";
import { errnoName } from "./errno.ts";
import { formatSyscall } from "./syscall-text.ts";
import type { Syscall, SyscallListener } from "./syscall.ts";

/** Who is told. Of this thread: a Worker has its own. */
export const syscallListeners = new Set<SyscallListener>();

if (process.env["BUN_VFIO_TRACE"] === "1")
  syscallListeners.add((call) => writeSync(2, `${formatSyscall(call)}\n`));

type Call = (...args: never[]) => unknown;
const mapFailed = 0xffff_ffff_ffff_ffffn;
const untraced = "__errno_location";

/** The same functions, each of which tells the listeners. Errno afterwards is the call's, whatever the listeners did. */
export function tracedFunctions<Functions extends object>(plain: Functions, errnoAt: Pointer): Functions {
  const errnoCell = new Int32Array(toArrayBuffer(errnoAt, 0, 4));
  // What a listener itself calls is not traced: it would never end.
  let isTelling = false;
  const traced = (key: string, call: Call): Call => {
    // The two forms of ioctl are one call.
    const name = key === "ioctlInteger" ? "ioctl" : key;
    return (...args) => {
      if (isTelling) return call(...args);
      const start = Bun.nanoseconds();
      const result = call(...args) as number | bigint;
      const errno = read.i32(errnoAt, 0);
      const microseconds = (Bun.nanoseconds() - start) / 1000;
      const failed = result === -1 || result === mapFailed;
      const record: Syscall = {
        name,
        args,
        result,
        code: failed ? errnoName(errno) : undefined,
        errno: failed ? errno : undefined,
        microseconds,
      };
      isTelling = true;
      try {
        for (const listener of syscallListeners) listener(record);
      } finally {
        isTelling = false;
        errnoCell[0] = errno;
      }
      return result;
    };
  };
  return Object.fromEntries(
    Object.entries(plain as Record<string, Call>).map(([key, call]) => [
      key,
      key === untraced ? call : traced(key, call),
    ]),
  ) as Functions;
}
