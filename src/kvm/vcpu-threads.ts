import { VfioError } from "../ffi/errors.ts";
import { workerModule } from "../ffi/worker-module.ts";
import { AccessMailbox } from "./access-mailbox.ts";
import type { Kvm } from "./kvm.ts";
import type { VirtualMachine } from "./machine.ts";
import type { AccessHandlers, RunEnd } from "./run-loop.ts";
import type { LocalDevices } from "./local-devices.ts";
import type { PostedRange } from "./posted-writes.ts";
import { TrapBus } from "./trap-bus.ts";
import { VcpuControl } from "./vcpu-control.ts";
import type { VcpuAnswer, VcpuOrder, VcpuStart } from "./vcpu-thread.ts";
import { vcpuStateOptions, type VcpuState } from "./x86/vcpu-state.ts";

export type { VcpuStart } from "./vcpu-thread.ts";

/** How accesses are answered; all of them in the thread of `run`, and waited for, unless something else is chosen. */
export interface VcpuThreadsOptions {
  /** Writes that no vCPU waits for. */
  readonly posted?: readonly PostedRange[] | undefined;
  /** Devices that the vCPUs' threads answer. They come before those of `run`. */
  readonly local?: LocalDevices | undefined;
}

/** One Worker, from this side: an order at a time. */
class Thread {
  readonly control = new VcpuControl();
  readonly #worker = new Worker(workerModule("vcpu-thread", import.meta.url));
  #waiting: PromiseWithResolvers<VcpuAnswer> | undefined;
  /** What every order is answered with from now on: there is no thread any more. */
  #gone: VcpuAnswer | undefined;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<VcpuAnswer>) => {
      this.#waiting?.resolve(data);
    });
    this.#worker.addEventListener("error", ({ message }) => this.#end(message));
    this.#worker.addEventListener("close", () => this.#end("it has ended"));
  }

  #end(why: string): void {
    this.#gone ??= { failure: { message: `the thread of a vCPU fails: ${why}`, code: "EWORKER" } };
    this.#waiting?.resolve(this.#gone);
  }

  async ask(order: VcpuOrder): Promise<RunEnd | VcpuState | undefined> {
    this.#waiting = Promise.withResolvers();
    if (!this.#gone) this.#worker.postMessage(order);
    const answer = this.#gone ?? (await this.#waiting.promise);
    if ("result" in answer) return answer.result;
    const { message, ...options } = answer.failure;
    throw new VfioError(message, options);
  }
}

/**
 * All vCPUs of a machine, each in a thread of its own, and their accesses answered in this one. In this order: `make`, then
 * the devices, whose interrupts need the vCPUs' local APICs; `run`; and where the machine is to be saved, `save` once the devices
 * are quiet. Disposing of it (`await using`) ends the threads and closes the vCPUs; it goes before the machine.
 */
export class VcpuThreads implements AsyncDisposable {
  readonly #mailbox: AccessMailbox;
  readonly #threads: readonly Thread[];
  #running = 0;
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(count: number) {
    this.#mailbox = new AccessMailbox(count);
    this.#threads = Array.from({ length: count }, () => new Thread());
  }

  /**
   * Makes the vCPUs; none runs yet.
   * @param starts how each begins, or its state: vCPU 0 first
   * @param options which accesses need not be answered by the thread that calls `run`
   * @throws VfioError with what KVM refuses: nothing is left then
   */
  static async make(
    kvm: Kvm,
    machine: VirtualMachine,
    starts: readonly (VcpuStart | VcpuState)[],
    { posted = [], local }: VcpuThreadsOptions = {},
  ): Promise<VcpuThreads> {
    const threads = new VcpuThreads(starts.length);
    const common = {
      ...{ vm: machine.fd, runSize: machine.runSize, mailbox: threads.#mailbox.buffer },
      ...{ stateOptions: vcpuStateOptions(kvm, machine), posted, local },
    };
    try {
      await threads.#askAll((id, { control }) => ({
        ...common,
        kind: "make",
        id,
        control: control.buffer,
        start: starts[id]!,
      }));
    } catch (error) {
      await threads[Symbol.asyncDispose]();
      throw error;
    }
    return threads;
  }

  /**
   * Lets all run until one ends, or `stop`: then the others are stopped too, since a guest resets itself, or turns itself off,
   * on one CPU. Can be called again.
   * @param handlers what answers accesses, in this thread: a `TrapBus`
   * @returns why it ended: the reason that is not `stopped`, if one has one
   * @throws VfioError what made a vCPU fail, or `EBUSY` while they run; what a handler throws. All have stopped then
   */
  async run(handlers: AccessHandlers): Promise<RunEnd> {
    this.#checkStopped();
    this.#running = this.#threads.length;
    const runs = this.#threads.map(async (thread) => {
      try {
        return (await thread.ask({ kind: "run" })) as RunEnd;
      } finally {
        this.#running--;
        this.stop();
        this.#mailbox.ring();
      }
    });
    this.#ended = Promise.allSettled(runs);
    const haveEnded = (): boolean => this.#running === 0;
    try {
      await this.#mailbox.serve(handlers, haveEnded);
    } finally {
      // What failed is known: what the vCPUs still ask is nobody's.
      this.stop();
      await this.#mailbox.serve(new TrapBus(), haveEnded);
      await this.#ended;
      for (const { control } of this.#threads) control.resume();
    }
    return (await Promise.all(runs)).find((end) => end !== "stopped") ?? "stopped";
  }

  /** Has all end, wherever they are: `run` returns, or the next one does. */
  stop(): void {
    for (const { control } of this.#threads) control.stop();
  }

  /**
   * What each is, once `run` has returned. What a device sends later is lost to it: have the devices quiet before.
   * @returns undefined where one is in the middle of an instruction: run on, and try again
   * @throws VfioError; `EBUSY` while they run
   */
  async save(): Promise<VcpuState[] | undefined> {
    this.#checkStopped();
    const states = (await this.#askAll(() => ({ kind: "save" }))) as (VcpuState | undefined)[];
    return states.every((state) => state !== undefined) ? states : undefined;
  }

  #checkStopped(): void {
    if (this.#running > 0) throw new VfioError("the vCPUs are running", { code: "EBUSY" });
  }

  /** @throws the first failure, once all have answered */
  async #askAll(
    order: (id: number, thread: Thread) => VcpuOrder,
  ): Promise<(RunEnd | VcpuState | undefined)[]> {
    const asked = this.#threads.map((thread, id) => thread.ask(order(id, thread)));
    await Promise.allSettled(asked);
    return Promise.all(asked);
  }

  /** Stops what still runs, closes the vCPUs, ends the threads. Safe to call twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    this.#mailbox.close();
    await this.#ended;
    const threads = (this.#threads as Thread[]).splice(0);
    await Promise.allSettled(threads.map((thread) => thread.ask({ kind: "end" })));
  }
}
