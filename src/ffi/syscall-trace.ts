import { writeSync } from "node:fs";
import { errnoName } from "./errno.ts";
import { formatSyscall } from "./syscall-text.ts";
import type { Syscall, SyscallListener } from "./syscall.ts";

/** Who is told. Of this thread: a Worker has its own. */
export const syscallListeners = new Set<SyscallListener>();

if (process.env["BUN_VFIO_TRACE"] === "1")
  syscallListeners.add((call) => writeSync(2, `${formatSyscall(call)}\n`));

type Call = (...args: never[]) => unknown;
/** Errnos are at most this; what is below it in value is an address. */
const maxErrno = 4095;

/** The same functions, each of which tells the listeners. */
export function tracedFunctions<Functions extends object>(plain: Functions): Functions {
  // What a listener itself calls is not traced: it would never end.
  let isTelling = false;
  const traced = (key: string, call: Call): Call => {
    // The two forms of ioctl are one call.
    const name = key === "ioctlInteger" ? "ioctl" : key;
    return (...args) => {
      if (isTelling) return call(...args);
      const start = Bun.nanoseconds();
      const result = Number(call(...args));
      const microseconds = (Bun.nanoseconds() - start) / 1000;
      const errno = result < 0 && result >= -maxErrno ? -result : undefined;
      const record: Syscall = {
        name,
        args,
        result: errno === undefined ? result : -1,
        code: errno === undefined ? undefined : errnoName(errno),
        errno,
        microseconds,
      };
      isTelling = true;
      try {
        for (const listener of syscallListeners) listener(record);
      } finally {
        isTelling = false;
      }
      return result;
    };
  };
  return Object.fromEntries(
    Object.entries(plain as Record<string, Call>).map(([key, call]) => [key, traced(key, call)]),
  ) as Functions;
}
