// strace(1) of a Bun program's main thread, cut into pieces by the marks that the program sets.
import { readFileSync } from "node:fs";
import { markFolder } from "./marks.ts";
import { temporary } from "./command.ts";

/** One system call as strace shows it, with numbers in place of names. */
export interface StraceCall {
  readonly name: string;
  readonly line: string;
  readonly result: number;
}
/** One call as this library's own trace has it; -1 stands for a buffer. */
export interface OwnCall {
  readonly name: string;
  readonly args: readonly number[];
  readonly result: number;
  /** Of an open. */
  readonly path: string;
}

/** What a run was: by mark, what strace saw and what the program's own trace said. */
export interface Traced<Call> {
  readonly name: string;
  readonly calls: readonly Call[];
}

/** What JavaScriptCore and its allocator do on the main thread by themselves, at moments of their own. */
const runtime =
  /^(futex|madvise|mprotect|sched_yield|sched_getaffinity|clock_gettime|gettid|getpid|rt_sig\w+|sigaltstack|membarrier|restart_syscall|getrusage|tgkill|clone3?)$/;
/** How much memory there is, which the collector asks now and then. */
const proc = /^\w+\((-100<[^>]*>, "|"|\d+<)\/(proc|sys\/fs\/cgroup)\//;
const anonymous = /^(mmap\([^,]*, \d+, \d+, 0x[0-9a-f]+, (-1|0xffffffff)\b|munmap\()/;

/** Calls other than the runtime's own. What this library maps without a file is not among them. */
export const withoutRuntime = (calls: readonly StraceCall[]): StraceCall[] =>
  calls.filter(({ name, line }) => !runtime.test(name) && !anonymous.test(line) && !proc.test(line));

/** How often each call is there, as `ioctl 2, pread64 1`; names in the order of the alphabet. */
export function tally(calls: readonly { readonly name: string }[]): string {
  const counts = new Map<string, number>();
  for (const { name } of calls) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort()
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

/**
 * Runs a program under strace. Its last line of output is JSON: `own` are the calls by its own trace.
 * @returns the pieces by their marks, in order, as strace and as the own trace have them, and what else the program said
 */
export async function strace<Answer extends { readonly own: readonly OwnCall[] }>(
  program: string,
  ...args: string[]
): Promise<{ strace: Traced<StraceCall>[]; own: Traced<OwnCall>[]; answer: Answer }> {
  using folder = temporary();
  const file = folder.at("strace");
  const options = ["-o", file, "-y", "-X", "raw", "-e", "verbose=none", "-s", "80"];
  const child = Bun.spawn(["strace", ...options, process.execPath, program, ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${program} under strace: ${err.slice(0, 2000)}`);
  const answer = JSON.parse(out.trim().split("\n").at(-1)!) as Answer;
  return {
    strace: pieces(callsOf(readFileSync(file, "latin1")), ({ line }) => pathIn(line)),
    own: pieces(answer.own, ({ path }) => path),
    answer,
  };
}

/** `ioctl(13</dev/vfio/12>, 0x3b6b, 0x7f..) = 0`; signals and the exit are no calls. */
export function callsOf(text: string): StraceCall[] {
  return text.split("\n").flatMap((line) => {
    const name = /^(\w+)\(/.exec(line)?.[1];
    const result = /.*\)\s+= (-?\w+)/.exec(line)?.[1];
    return name === undefined || result === undefined ? [] : [{ name, line, result: Number(result) }];
  });
}

/** Cuts calls at the marks; what lies outside of a pair is dropped. */
function pieces<Call>(
  calls: readonly Call[],
  pathOf: (call: Call) => string | undefined,
): { name: string; calls: Call[] }[] {
  const found: { name: string; calls: Call[] }[] = [];
  let open = false;
  for (const call of calls) {
    const path = pathOf(call);
    if (path?.startsWith(markFolder)) {
      const name = path.slice(markFolder.length);
      open = name !== "";
      if (open) found.push({ name, calls: [] });
    } else if (open) found.at(-1)!.calls.push(call);
  }
  return found;
}

/** What strace calls a call that has two names. */
const kernelNames: Readonly<Record<string, string>> = { pread: "pread64", pwrite: "pwrite64" };
const kernelName = (name: string): string => kernelNames[name] ?? name;

/** A call by what both know of it: name, request of an ioctl, result. */
const fromStrace = ({ name, line, result }: StraceCall): string =>
  `${name} ${name === "ioctl" ? requestOf(line) : (pathIn(line) ?? "")} ${result}`;
const fromOwn = ({ name, args, path, result }: OwnCall): string =>
  `${kernelName(name)} ${name === "ioctl" ? args[1]! >>> 0 : path} ${result}`;
/** Whether a call is an ioctl with this request. */
export const isRequest = ({ name, line }: StraceCall, request: number): boolean =>
  name === "ioctl" && requestOf(line) === request;
const requestOf = (line: string): number => Number(/^ioctl\([^,]*, (\w+)/.exec(line)?.[1]);
const pathIn = (line: string): string | undefined => /^openat\([^"]*"([^"]*)"/.exec(line)?.[1];

/** Whether a call concerns VFIO, an iommufd or KVM: nobody but this library makes such calls. */
const isOurs = ({ name, line }: StraceCall): boolean =>
  /^\w+\(\d+<(\/dev\/|anon_inode:)[^>]*(vfio|iommu|kvm)/.test(line) ||
  (name === "openat" && /"\/dev\/(vfio|iommu|kvm)/.test(line)) ||
  /^mmap\([^<]*<[^>]*(vfio|iommu|kvm)/.test(line);

/**
 * Compares a piece as both have it. @returns what the own trace says and strace did not see in that order, and the other
 * way about what concerns a device and the own trace lacks
 */
export function differences(strace: Traced<StraceCall>, own: Traced<OwnCall>): string[] {
  const missed: string[] = [];
  let next = 0;
  for (const call of strace.calls.filter(({ line }) => !proc.test(line))) {
    const one = own.calls[next];
    if (one && fromOwn(one) === fromStrace(call)) next++;
    else if (isOurs(call)) missed.push(`${strace.name}: the trace lacks ${call.line}`);
  }
  const invented = own.calls.slice(next).map((one) => `${own.name}: strace lacks ${fromOwn(one)}`);
  return [...missed, ...invented.slice(0, 1)];
}
