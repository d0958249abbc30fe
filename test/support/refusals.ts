// Runs a program once for each system call that it makes, with that call refused, and looks at what is left. The library's own
// functions are replaced, in this process: nothing of the machine is touched.
import { readFileSync } from "node:fs";
import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";
import { errnoName } from "../../src/ffi/errno.ts";
import { formatSyscall } from "../../src/ffi/trace.ts";
import { callTable, type CallName } from "../../src/ffi/system-call-table.ts";
import { systemCalls } from "../../src/ffi/system-calls.ts";
import { openDescriptors } from "./descriptors.ts";

const errnos = { EINTR: 4, EIO: 5, ENOMEM: 12, EMFILE: 24 } as const;
type Errno = (typeof errnos)[keyof typeof errnos];

/** Those that make descriptors; an ioctl may. */
const makers: readonly CallName[] = [
  ...(["openat", "eventfd2", "epoll_create1", "memfd_create", "fcntl"] as const),
  ...(["socket", "socketpair", "accept4", "ioctl", "ioctlInteger"] as const),
];
/** Those that a signal can end. */
const interruptible: readonly CallName[] = [
  ...(["openat", "read", "write", "close", "pread", "pwrite", "ppoll", "futex", "rt_sigtimedwait"] as const),
  ...([
    "connect",
    "accept4",
    "sendto",
    "sendmsg",
    "recvmsg",
    "io_getevents",
    "ioctl",
    "ioctlInteger",
  ] as const),
];
/** What a call can be refused with. */
export const errnosOf = (name: CallName): readonly Errno[] => [
  errnos.ENOMEM,
  errnos.EIO,
  ...(makers.includes(name) ? [errnos.EMFILE] : []),
  ...(interruptible.includes(name) ? [errnos.EINTR] : []),
];

/** Calls that cannot be refused: what would take the refusal for a value is right to. */
const infallible: readonly CallName[] = ["gettid"];

/** One call, before it. */
interface Met {
  readonly call: CallName;
  /** As `ioctl VFIO_DEVICE_RESET`, or the call's own name. */
  readonly name: string;
}

const nameOf = (call: CallName, args: readonly unknown[]): string => {
  if (call !== "ioctl" && call !== "ioctlInteger") return call;
  const shown = formatSyscall({
    ...{ name: "ioctl", args, result: 0 },
    code: undefined,
    errno: undefined,
    microseconds: 0,
  });
  return `ioctl ${/^ioctl\([^,]*, ([^,)]*)/.exec(shown)![1]}`;
};

/** What came of the refusals of one call. */
interface Row {
  refused: number;
  errors: number;
  survived: number;
}

/** Which call is refused now, and what this library has mapped. */
class Refuser implements Disposable {
  /** Of every run, by the name of the call. */
  readonly rows = new Map<string, Row>();
  readonly refused = new Set<CallName>();
  /** Sizes by address. */
  readonly mapped = new Map<number, number>();
  readonly #real = new Map<CallName, (...args: unknown[]) => number | bigint>();
  #choose: (call: CallName, args: readonly unknown[]) => Errno | undefined = () => undefined;

  constructor() {
    const calls = systemCalls() as unknown as Record<CallName, (...args: unknown[]) => number | bigint>;
    for (const call of Object.keys(callTable) as CallName[]) {
      const real = calls[call];
      this.#real.set(call, real);
      calls[call] = (...args) => {
        const errno = infallible.includes(call) ? undefined : this.#choose(call, args);
        // Linux closes a descriptor even where it says that it failed.
        if (errno === undefined || call === "close") {
          const result = real(...args);
          if (errno === undefined) {
            this.#note(call, args, Number(result));
            return result;
          }
        }
        return -errno;
      };
    }
  }

  #note(call: CallName, args: readonly unknown[], result: number): void {
    if (call === "mmap" && result > 0) this.mapped.set(result, Number(args[1]));
    if (call === "munmap" && result === 0) this.mapped.delete(Number(args[0]));
  }

  /** Has somebody choose, for each call from now on, whether it is refused. */
  choose(choose: (call: CallName, args: readonly unknown[]) => Errno | undefined): void {
    this.#choose = choose;
  }

  row(name: string): Row {
    const row = this.rows.get(name) ?? { refused: 0, errors: 0, survived: 0 };
    this.rows.set(name, row);
    return row;
  }

  [Symbol.dispose](): void {
    Object.assign(systemCalls(), Object.fromEntries(this.#real));
  }
}

/** What a program has made: disposed of at its end, the newest first, and what is refused then a second time. */
export class Owned {
  readonly #items: Disposable[] = [];

  use<T extends Disposable>(item: T): T {
    this.#items.push(item);
    return item;
  }

  /** Safe to call twice. @returns what was thrown the first time @throws what is thrown the second time */
  end(): unknown[] {
    const [again, failures]: [Disposable[], unknown[]] = [[], []];
    for (const item of this.#items.toReversed())
      try {
        item[Symbol.dispose]();
      } catch (error) {
        failures.push(error);
        again.push(item);
      }
    for (const item of again) item[Symbol.dispose]();
    return failures;
  }
}

/** What is tried. */
export interface Program {
  readonly name: string;
  /** @param owned takes all that it makes @param fault is told of what must not be, whatever is refused */
  run(owned: Owned, fault: (what: string) => void): void | Promise<void>;
  /** What it begins ends by itself, a moment later. */
  readonly settles?: boolean;
  /** After a run: what is held elsewhere than in this process, in words. */
  left?(): readonly string[];
}

const refuser = new Refuser();
export const { rows, refused } = refuser;
export const restoreCalls = (): void => refuser[Symbol.dispose]();

/** Signals that this thread blocks, 64 bits in hexadecimal. */
const blocked = (): string =>
  /^SigBlk:\s+(\w+)/m.exec(readFileSync("/proc/thread-self/status", "latin1"))?.[1] ?? "";

const state = () => ({
  signals: [`blocked signals ${blocked()}`],
  descriptors: openDescriptors().filter((line) => /vfio|iommu|kvm|event|memfd|socket|dma/.test(line)),
  mapped: [...refuser.mapped].map(([address, size]) => `${size} bytes at 0x${address.toString(16)}`),
});

type State = ReturnType<typeof state>;
const left = (before: State): string[] => {
  const after = state();
  return (["signals", "descriptors", "mapped"] as const).flatMap((kind) =>
    after[kind].filter((one) => !before[kind].includes(one)),
  );
};

/** Turns of the event loop until nothing is left; what stays is told of in the end. */
async function settled(before: State): Promise<void> {
  for (let turn = 0; turn < 300 && left(before).length > 0; turn++) await Bun.sleep(20);
}

/** One run, which begins by opening what the run before has left. @returns whether a call was refused: false where the program makes fewer */
async function refuseOne(
  program: Program,
  number: number,
  errnoOf: (errnos: readonly Errno[]) => Errno | undefined,
  faults: Set<string>,
): Promise<boolean> {
  const before = state();
  let met: Met | undefined;
  let errno: Errno | undefined;
  let count = 0;
  refuser.choose((call, args) => {
    if (infallible.includes(call) || count++ !== number) return undefined;
    errno = errnoOf(errnosOf(call));
    met = { call, name: nameOf(call, args) };
    return errno;
  });
  const seen = new Set<string>();
  const owned = new Owned();
  const failures: unknown[] = [];
  try {
    await program.run(owned, (what) => seen.add(what));
  } catch (error) {
    failures.push(error);
  }
  try {
    failures.push(...owned.end());
  } catch (error) {
    seen.add(`cannot be disposed of the second time: ${String(error)}`);
  }
  refuser.choose(() => undefined);
  if (program.settles) await settled(before);
  if (met === undefined) {
    for (const what of [...failures, ...seen])
      faults.add(`${program.name}, after call ${number - 1} was refused: ${String(what)}`);
    return false;
  }
  if (errno === undefined) return true;
  const row = refuser.row(met.name);
  row.refused++;
  if (failures.length > 0) row.errors++;
  else row.survived++;
  refuser.refused.add(met.call);
  for (const error of failures)
    if (typeof (error as { code?: unknown }).code !== "string")
      seen.add(
        `throws what has no code: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`,
      );
  for (const what of program.left?.() ?? []) seen.add(`leaves ${what}`);
  // What the kernel has not unmapped goes with what is unmapped next.
  new AnonymousMemory(1)[Symbol.dispose]();
  for (const one of left(before)) seen.add(`leaves ${one}`);
  for (const what of seen)
    faults.add(`${program.name}, call ${number}, ${met.name} with ${errnoName(errno)}: ${what}`);
  return true;
}

/**
 * A program with each of its calls refused, in turn.
 * @param all every call with each errno that it can have; else each call with one of them, in turn
 * @returns how many calls it makes, and what was wrong
 */
export async function everyCall(
  program: Program,
  all: boolean,
): Promise<{ readonly calls: number; readonly faults: readonly string[] }> {
  const faults = new Set<string>();
  // What is made once in a process is made now.
  const before = state();
  const clean = new Owned();
  await program.run(clean, (what) => faults.add(`${program.name}: ${what}`));
  clean.end();
  if (program.settles) await settled(before);
  let number = 0;
  for (; ; number++) {
    let isOver = false;
    for (let round = 0; round < (all ? 4 : 1) && !isOver; round++)
      isOver = !(await refuseOne(
        program,
        number,
        (errnos) => (all ? errnos[round] : errnos[number % errnos.length]),
        faults,
      ));
    if (isOver) break;
  }
  return { calls: number, faults: [...faults] };
}

/** The next call of this name is refused, once. */
export function refuseNext(name: CallName, errno: Errno): void {
  refuser.choose((call, args) => {
    if (call !== name) return undefined;
    refuser.choose(() => undefined);
    refuser.refused.add(call);
    const row = refuser.row(nameOf(call, args));
    row.refused++;
    row.errors++;
    return errno;
  });
}

/** The table of all calls that were refused. */
export function table(): string {
  const lines = [...rows]
    .sort()
    .map(
      ([name, { refused, errors, survived }]) =>
        `${name.padEnd(48)} ${String(refused).padStart(7)} ${String(errors).padStart(7)} ${String(survived).padStart(8)}`,
    );
  return [`${"call".padEnd(48)} refused  errors survived`, ...lines].join("\n");
}
