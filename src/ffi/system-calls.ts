// Linux's system calls, as functions that return what the kernel does. Buffers are passed as views, never as addresses kept
// from before: a small typed array moves when its buffer is first looked at.
import { linkSymbols, type Library, type Pointer } from "bun:ffi";
import { VfioError } from "./errors.ts";
import { callByLibc, executable } from "./libc.ts";
import { allCode } from "./machine-code.ts";
import {
  architectures,
  callNumber,
  callTable,
  type Architecture,
  type CallName,
} from "./system-call-table.ts";
import { syscallListeners, tracedFunctions } from "./syscall-trace.ts";

export { systemError } from "./system-error.ts";

/** Each returns its result, or -errno. */
export type SystemCalls = Library<typeof callTable>["symbols"];

const entries = Object.entries(callTable) as [CallName, (typeof callTable)[CallName]][];

function architecture(): Architecture {
  const known = architectures.find((name) => name === process.arch);
  if (known !== undefined && process.platform === "linux") return known;
  throw new VfioError(`bun-vfio has no system calls for ${process.platform} on ${process.arch}`, {
    code: "ENOSYS",
    hint: "It runs on Linux, on x86-64 and aarch64.",
  });
}

/** By machine code of our own; undefined on a host that does not allow that. @throws VfioError (`ENOSYS`) */
export function callsByCode(): SystemCalls | undefined {
  const { code, offsets } = allCode(architecture());
  const address = executable(code);
  if (address === undefined) return undefined;
  const linked = entries.map(([name, { args, returns }]) => [
    name,
    { args, returns, ptr: (address + offsets.get(name)!) as Pointer },
  ]);
  return linkSymbols(Object.fromEntries(linked) as typeof callTable).symbols;
}

/** By the C library, whose errno may be another's. @throws VfioError (`ENOSYS`) */
export function callsByLibc(): SystemCalls {
  const calls = entries.map(([name, { args }]) => [name, callByLibc(callNumber(name, architecture()), args)]);
  return Object.fromEntries(calls) as SystemCalls;
}

let plain: SystemCalls | undefined;
/** The plain functions, or those that tell the trace's listeners. */
let current: SystemCalls | undefined;

/** To be asked for at each call. @throws VfioError (`ENOSYS`) on another system than Linux, or another machine */
export const systemCalls = (): SystemCalls => current ?? chooseCalls();

/** Goes over to traced functions if somebody listens, and back if nobody does. */
export function chooseCalls(): SystemCalls {
  plain ??= callsByCode() ?? callsByLibc();
  return (current = syscallListeners.size > 0 ? tracedFunctions(plain) : plain);
}
