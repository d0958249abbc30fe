// What the kernel lets this process have: of locked memory, which DMA needs, and of descriptors.
import { readFileSync } from "node:fs";
import { resourceLimit } from "./constants.ts";
import { systemCalls, systemError } from "./system-calls.ts";

/** A limit of prlimit(2); `Infinity` for none. */
export interface ResourceLimit {
  /** What is enforced; it can be raised up to `hard`. */
  readonly soft: number;
  /** Up to which the soft one may be raised; undefined: no limit. */
  readonly hard: number;
}

const names = { MEMLOCK: "the limit of locked memory", NOFILE: "the limit of open files" } as const;
/** The process that asks. */
const self = 0;
const unlimited = 0xffff_ffff_ffff_ffffn;
const lockCapability = 14n; // CAP_IPC_LOCK, linux/capability.h.

/** struct rlimit: the soft limit, then the hard one. */
function readLimit(name: keyof typeof names): BigUint64Array {
  const limit = new BigUint64Array(new ArrayBuffer(16));
  const result = systemCalls().prlimit64(self, resourceLimit[name], null, limit);
  if (result < 0) throw systemError("prlimit64", -result, names[name]);
  return limit;
}
const numberOf = (raw = unlimited): number => (raw === unlimited ? Infinity : Number(raw));

/** @param name `"MEMLOCK"`, in bytes, or `"NOFILE"`, descriptors @throws VfioError */
export function getLimit(name: keyof typeof names): ResourceLimit {
  const [soft, hard] = readLimit(name);
  return { soft: numberOf(soft), hard: numberOf(hard) };
}

/**
 * Changes what is enforced, for this process and those that it starts.
 * @param soft whole, 0 or more; `Infinity` for none
 * @throws VfioError, as EINVAL above the hard limit
 */
export function setSoftLimit(name: keyof typeof names, soft: number): void {
  if (soft !== Infinity && !(Number.isSafeInteger(soft) && soft >= 0))
    throw new RangeError(`${soft} is no limit`);
  const limit = readLimit(name);
  limit[0] = soft === Infinity ? unlimited : BigInt(soft);
  const result = systemCalls().prlimit64(self, resourceLimit[name], limit, null);
  if (result < 0)
    throw systemError("prlimit64", -result, `${names[name]}, ${soft}`, {
      hint: `The hard limit is ${numberOf(limit[1])}; only a process with CAP_SYS_RESOURCE raises that.`,
    });
}

/** What stands against RLIMIT_MEMLOCK, in bytes. */
export interface LockedMemory extends ResourceLimit {
  /** Locked, with what type1 containers pinned for DMA (`VmLck`). */
  readonly locked: number;
  /** Pinned by others, such as iommufd (`VmPin`). */
  readonly pinned: number;
  /** CAP_IPC_LOCK: the limit does not hold for this process. */
  readonly exempt: boolean;
}

/** @throws VfioError; node:fs's error where there is no /proc */
export function lockedMemory(): LockedMemory {
  return { ...getLimit("MEMLOCK"), ...parseLocked(readFileSync("/proc/self/status", "latin1")) };
}

/** Reads a text like /proc/self/status (proc(5)); what is not there counts as none. */
export function parseLocked(status: string): Pick<LockedMemory, "locked" | "pinned" | "exempt"> {
  const kilobytes = (key: string): number =>
    1024 * Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return {
    locked: kilobytes("VmLck"),
    pinned: kilobytes("VmPin"),
    exempt: ((capabilities >> lockCapability) & 1n) === 1n,
  };
}
