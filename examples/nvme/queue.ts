import type { DmaBuffer, DmaMap } from "bun-vfio";
import { completionMap, submissionMap } from "./registers.ts";

/** `name` is for messages, `dwords` are 10 to 12, `receive` is in bytes, `memory` the IOVA of what the controller keeps. */
export interface Command {
  readonly name: string;
  readonly opcode: number;
  readonly namespace?: number;
  readonly dwords?: readonly [number, number?, number?];
  readonly send?: Uint8Array;
  readonly receive?: number;
  readonly memory?: number;
}
type Answer = { readonly result: number; readonly data: Uint8Array<ArrayBuffer> };
type Pending = PromiseWithResolvers<Answer> & { readonly command: Command; readonly timer: Timer };

/** `transfer` is what a command can move, in bytes up to 2 MiB; `timeout` is in ms; `lost` hears why no answer can be relied on. */
interface Options {
  readonly depth: number;
  readonly transfer: number;
  readonly timeout: number;
  readonly ring: (queue: "submission" | "completion", entry: number) => void;
  readonly lost: (why: string) => void;
}
export const page = 4096;
const statusNames: Record<number, string> = {
  1: "invalid opcode",
  2: "invalid field",
  0x80: "LBA out of range",
};

/** A submission and a completion queue, and memory for the data of each command. `dispose` takes it from the device. */
export class Queue implements Disposable {
  interrupts = 0;
  readonly depth: number;
  readonly submissions: DmaBuffer;
  readonly completions: DmaBuffer;
  readonly #data: DmaBuffer;
  readonly #options: Options;
  readonly #own = new DisposableStack();
  readonly #free: number[];
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  #tail = 0;
  #head = 0;
  #phase = true;
  #failure: string | undefined;

  constructor(dma: DmaMap, options: Options) {
    const { depth, transfer } = (this.#options = options);
    this.depth = depth;
    using failed = new DisposableStack();
    failed.use(this);
    this.submissions = this.#own.use(dma.allocate(depth * 64, { label: "submission queue" }));
    this.completions = this.#own.use(dma.allocate(depth * 16, { label: "completion queue" }));
    // One command less than entries: a full ring would look like an empty one.
    this.#free = Array.from({ length: depth - 1 }, (_, slot) => slot * (transfer + page));
    this.#data = this.#own.use(dma.allocate((depth - 1) * (transfer + page), { label: "data" }));
    // Behind the data of each slot, the list of its pages from the second on. It stays as it is.
    for (const slot of this.#free)
      for (let n = 1; n * page < transfer; n++)
        this.#data.view.setBigUint64(slot + transfer + (n - 1) * 8, this.#iova(slot + n * page), true);
    failed.move();
  }

  /** @throws Error where the controller refuses (with its `status`) or does not answer; RangeError for too much data */
  async submit(command: Command): Promise<Answer> {
    const { name, opcode, namespace = 0, dwords = [0], send, receive = 0, memory } = command;
    const { transfer, timeout, depth, ring, lost } = this.#options;
    const size = send?.length ?? receive;
    if (size > transfer) throw new RangeError(`${name}: ${size} bytes are more than ${transfer}`);
    while (this.#free.length === 0 && !this.#failure)
      await new Promise<void>((wake) => this.#waiting.push(wake));
    if (this.#failure) throw new Error(`${name}: ${this.#failure}`);
    const slot = this.#free.pop()!;
    const id = slot / (transfer + page);
    if (send) this.#data.bytes.set(send, slot);
    const prp1 = memory === undefined ? this.#iova(slot) : BigInt(memory);
    // A second page is named in the command itself; of more, the list is.
    const prp2 = this.#iova(slot + (size > 2 * page ? transfer : page));
    const [dword10, dword11 = 0, dword12 = 0] = dwords;
    const entry = submissionMap.view(this.submissions.view, this.#tail * 64);
    Object.assign(entry, { opcode, id, namespace, prp1, prp2, dword10, dword11, dword12 });
    const timer = setTimeout(() => {
      this.look(); // It may have answered without an interrupt.
      if (this.#pending.get(id) === pending) lost(`no answer to "${name}" after ${timeout} ms`);
    }, timeout);
    const pending = { ...Promise.withResolvers<Answer>(), command, timer };
    this.#pending.set(id, pending);
    this.#tail = (this.#tail + 1) % depth;
    // The entry is in memory by now: an access to a register is in order with those to memory around it.
    ring("submission", this.#tail);
    return pending.promise;
  }

  /** Takes the answers that have come. */
  look(): void {
    const { depth, ring } = this.#options;
    const before = this.#head;
    // A controller that answers more than it can have been asked does not keep us here.
    for (let n = 1; n < depth && !this.#failure; n++) {
      const entry = completionMap.live(this.completions.registers, this.#head * 16);
      const { phase, id, code } = entry.status.read();
      // The controller writes the other phase each time round, and in the same word the status: both are there, or neither.
      if (phase !== this.#phase) break;
      this.#head = (this.#head + 1) % depth;
      if (this.#head === 0) this.#phase = !this.#phase;
      this.#finish(id, code, entry.result.read());
    }
    if (this.#head !== before) ring("completion", this.#head);
  }

  #finish(id: number, code: number, result: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return this.#options.lost(`it answers command ${id}, which nobody sent`);
    const { command, timer, resolve, reject } = pending;
    clearTimeout(timer);
    this.#pending.delete(id);
    const slot = id * (this.#options.transfer + page);
    const text = `${command.name}: ${statusNames[code] ?? "failed"} (status 0x${code.toString(16)})`;
    if (code !== 0) reject(Object.assign(new Error(text), { status: code }));
    // A copy, as the slot's next command comes here too.
    else resolve({ result, data: this.#data.bytes.slice(slot, slot + (command.receive ?? 0)) });
    this.#free.push(slot);
    this.#waiting.shift()?.();
  }

  /** Ends all commands, now and later. Their memory is not used again: the controller may still write it. */
  fail(why: string): void {
    this.#failure ??= why;
    for (const { command, timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(`${command.name}: ${why}`));
    }
    this.#pending.clear();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #iova(at: number): bigint {
    return BigInt(this.#data.iova + at);
  }

  [Symbol.dispose](): void {
    this.#own.dispose();
  }
}
