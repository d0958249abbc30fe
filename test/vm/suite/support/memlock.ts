// Less rights than root's: a limit of locked memory that holds.
import { dlopen, FFIType } from "bun:ffi";
import { getLimit, setSoftLimit } from "../../../../src/ffi/limits.ts";

const lockCapability = 14; // CAP_IPC_LOCK
const version3 = 0x20080522; // _LINUX_CAPABILITY_VERSION_3

/** capget(2) and capset(2): of the calling thread. */
function libc() {
  const types = { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 } as const;
  for (const name of ["libc.so.6", "libc.so"])
    try {
      return dlopen(name, { capget: types, capset: types }).symbols;
    } catch {}
  throw new Error("there is no libc");
}

/** Runs something with a limit of locked memory that this thread, which loses CAP_IPC_LOCK for it, is held to. @param bytes */
export function withLockedLimit<Result>(bytes: number, run: () => Result): Result {
  const { capget, capset } = libc();
  const header = Uint32Array.of(version3, 0);
  // Effective, permitted, inheritable; the second three are of capabilities above 31.
  const sets = new Uint32Array(new ArrayBuffer(24));
  const check = (result: number): void => {
    if (result !== 0) throw new Error("the capabilities of this thread cannot be changed");
  };
  check(capget(header, sets));
  const effective = sets[0]!;
  const { soft } = getLimit("MEMLOCK");
  sets[0] = (effective & ~(1 << lockCapability)) >>> 0;
  check(capset(header, sets));
  setSoftLimit("MEMLOCK", bytes);
  try {
    return run();
  } finally {
    setSoftLimit("MEMLOCK", soft);
    sets[0] = effective;
    check(capset(header, sets));
  }
}
