// All CPUs of a machine: a thread for each, started together and stopped together.
import type { Kvm, VcpuState, VirtualMachine } from "bun-vfio/kvm";
import { cpuidOf, VcpuControl, vcpuStateOptions, type RunEnd } from "bun-vfio/kvm";
import type { CpuOrders, CpuReport } from "./cpu-thread.ts";
import type { Mailbox } from "./mailbox.ts";

export interface CpusOptions {
  readonly count: number;
  /** Address of the kernel that the first CPU enters. */
  readonly kernel?: number | undefined;
  /** Where each goes on, instead. */
  readonly states?: readonly VcpuState[] | undefined;
}

interface Thread {
  readonly worker: Worker;
  readonly control: VcpuControl;
  report: CpuReport | undefined;
}

/**
 * CPUID.1:ECX, which KVM does not list: there is a hypervisor, with a clock of its own that needs no calibration; the local
 * APIC's timer is told when to fire by the time stamp counter, so that no other timer is needed.
 */
const features = { leaf: 1, hypervisor: 1 << 31, deadlineTimer: 1 << 24 };

/** `dispose` ends the threads; only to be called once all have `ended`, or where none has an open access. */
export class Cpus implements Disposable {
  readonly #threads: readonly Thread[];

  constructor(kvm: Kvm, machine: VirtualMachine, mailbox: Mailbox, { count, kernel, states }: CpusOptions) {
    const more = features.hypervisor | (kvm.extension("TSC_DEADLINE_TIMER") > 0 ? features.deadlineTimer : 0);
    const supported = kvm
      .supportedCpuid()
      .map((entry) => (entry.leaf === features.leaf ? { ...entry, ecx: (entry.ecx | more) >>> 0 } : entry));
    const common = {
      ...{ vm: machine.fd, runSize: machine.runSize, mailbox: mailbox.buffer },
      stateOptions: vcpuStateOptions(kvm, machine),
    };
    this.#threads = Array.from({ length: count }, (_, id): Thread => {
      const worker = new Worker(new URL("./cpu-thread.ts", import.meta.url).href);
      const control = new VcpuControl();
      const thread: Thread = { worker, control, report: undefined };
      const ended = (report: CpuReport): void => {
        thread.report = report;
        // Where one has ended, so have all: a guest resets itself, or turns itself off, on one CPU.
        this.stop();
        mailbox.ring();
      };
      worker.onmessage = ({ data }: MessageEvent<CpuReport>) => ended(data);
      worker.onerror = ({ message }) => ended({ end: "failed", message });
      const orders: CpuOrders = {
        ...common,
        id,
        cpuid: cpuidOf(supported, id, count),
        control: control.buffer,
        kernel: id === 0 ? kernel : undefined,
        state: states?.[id],
      };
      worker.postMessage(orders);
      return thread;
    });
  }

  /** Has all of them end, wherever they are. */
  stop(): void {
    for (const { control } of this.#threads) control.stop();
  }

  get ended(): boolean {
    return this.#threads.every(({ report }) => report !== undefined);
  }

  /** Why they ended: the reason that is not `stopped`, if one has one. @throws Error for a CPU that failed */
  get end(): RunEnd {
    const reports = this.#threads.map(({ report }) => report).filter((report) => report !== undefined);
    for (const report of reports) if (report.end === "failed") throw new Error(report.message);
    const ends = reports.map(({ end }) => end) as RunEnd[];
    return ends.find((end) => end !== "stopped") ?? "stopped";
  }

  /** Where each was stopped; undefined where one could not be stopped between two instructions. */
  get states(): VcpuState[] | undefined {
    const states = this.#threads.flatMap(({ report }) =>
      report && "state" in report && report.state ? [report.state] : [],
    );
    return states.length === this.#threads.length ? states : undefined;
  }

  [Symbol.dispose](): void {
    for (const { worker } of this.#threads) worker.terminate();
  }
}
