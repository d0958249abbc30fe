import type { DmaBuffer, DmaMap } from "bun-vfio";
import type { MappedRegisters } from "bun-vfio/ffi";
import { completionMap, statusNames, submissionMap } from "./registers.ts";

export class NvmeError extends Error {
  /** The controller's, code and type in one: 0x80. Undefined where there is no answer at all. */
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

export interface Command {
  /** For messages. */
  readonly name: string;
  readonly opcode: number;
  readonly namespace?: number;
  /** 10, 11, 12. */
  readonly dwords?: readonly number[];
  /** Bytes for the controller. */
  readonly send?: Uint8Array;
  /** How many bytes of the controller's to return. */
  readonly receive?: number;
  /** IOVA of memory that the controller keeps. */
  readonly memory?: number;
}
type Answer = { readonly result: number; readonly data: Uint8Array };
type Pending = PromiseWithResolvers<Answer> & { readonly command: Command; readonly timer: Timer };

export interface QueueOptions {
  readonly id: number;
  readonly depth: number;
  /** Bytes that a command can move, a multiple of 4096 up to 2 MiB. */
  readonly transfer: number;
  readonly doorbells: MappedRegisters;
  /** Bytes from one doorbell to the next. */
  readonly stride: number;
  /** In ms, for each command. */
  readonly timeout: number;
  /** Hears that the controller cannot be relied on any more. */
  readonly lost: (why: string) => void;
}

export const page = 4096;

/** A submission and a completion queue, and memory for the data of each command. `dispose` takes it from the device. */
export class Queue implements Disposable {
  interrupts = 0;
  readonly submissions: DmaBuffer;
  readonly completions: DmaBuffer;
  readonly #data: DmaBuffer;
  readonly #options: QueueOptions;
  readonly #own = new DisposableStack();
  readonly #free: number[];
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  #tail = 0;
  #head = 0;
  #phase = true;
  #failure: string | undefined;

  constructor(dma: DmaMap, options: QueueOptions) {
    const { id, depth, transfer } = (this.#options = options);
    using failed = new DisposableStack();
    failed.use(this);
    this.submissions = this.#own.use(dma.allocate(depth * 64, { label: `submission queue ${id}` }));
    this.completions = this.#own.use(dma.allocate(depth * 16, { label: `completion queue ${id}` }));
    // One command less than entries: a full ring would look like an empty one.
    this.#free = Array.from({ length: depth - 1 }, (_, slot) => slot);
    this.#data = this.#own.use(dma.allocate((depth - 1) * (transfer + page), { label: `data ${id}` }));
    // After each slot's data, the list of its pages from the second on. It never changes: slots are contiguous.
    for (const slot of this.#free)
      for (let at = page; at < transfer; at += page)
        this.#data.view.setBigUint64(
          this.#at(slot) + transfer + (at / page - 1) * 8,
          this.#iova(slot, at),
          true,
        );
    failed.move();
  }

  /** @throws NvmeError where the controller refuses, or does not answer; RangeError for too much data */
  async submit(command: Command): Promise<Answer> {
    const { transfer, timeout, depth, doorbells, id, stride, lost } = this.#options;
    const size = command.send?.length ?? command.receive ?? 0;
    if (size > transfer) throw new RangeError(`${command.name}: ${size} bytes are more than ${transfer}`);
    while (this.#free.length === 0 && this.#failure === undefined)
      await new Promise<void>((wake) => this.#waiting.push(wake));
    if (this.#failure !== undefined) throw new NvmeError(`${command.name}: ${this.#failure}`);
    const slot = this.#free.pop()!;
    if (command.send) this.#data.bytes.set(command.send, this.#at(slot));
    const entry = submissionMap.view(this.submissions.view, this.#tail * 64);
    entry.opcode = command.opcode;
    entry.id = slot;
    entry.namespace = command.namespace ?? 0;
    entry.prp1 = command.memory === undefined ? this.#iova(slot, 0) : BigInt(command.memory);
    // Two pages are named in the command itself; of more, the list is.
    entry.prp2 = this.#iova(slot, size > 2 * page ? transfer : page);
    [entry.dword10, entry.dword11, entry.dword12] = [0, 1, 2].map((n) => command.dwords?.[n] ?? 0) as [
      number,
      number,
      number,
    ];
    const timer = setTimeout(() => {
      // It may have answered without an interrupt.
      this.look();
      if (this.#pending.get(slot) === pending) lost(`no answer to "${command.name}" after ${timeout} ms`);
    }, timeout);
    const pending = { ...Promise.withResolvers<Answer>(), command, timer };
    this.#pending.set(slot, pending);
    this.#tail = (this.#tail + 1) % depth;
    // All of it is in memory by now: a register access is in order with those to memory around it.
    doorbells.write32(2 * id * stride, this.#tail);
    return pending.promise;
  }

  /** Takes the answers that have come. */
  look(): void {
    const { depth, doorbells, id, stride } = this.#options;
    let taken = 0;
    // A controller that answers more than it can have been asked does not keep us here.
    for (; taken < depth && this.#failure === undefined; taken++) {
      const entry = completionMap.live(this.completions.registers, this.#head * 16);
      const status = entry.status.read();
      // The controller turns the phase over each time round. The word has the status too: both are there, or neither.
      if (status.phase !== this.#phase) break;
      this.#head = (this.#head + 1) % depth;
      if (this.#head === 0) this.#phase = !this.#phase;
      this.#finish(status.id, status.code, entry.result.read());
    }
    if (taken > 0) doorbells.write32((2 * id + 1) * stride, this.#head);
  }

  #finish(slot: number, code: number, result: number): void {
    const pending = this.#pending.get(slot);
    if (!pending) return this.#options.lost(`it answers command ${slot}, which nobody sent`);
    const { command, timer, resolve, reject } = pending;
    clearTimeout(timer);
    this.#pending.delete(slot);
    const text = `${command.name}: ${statusNames[code] ?? "failed"} (status 0x${code.toString(16)})`;
    // A copy, as the slot's next command comes here too.
    if (code === 0)
      resolve({
        result,
        data: this.#data.bytes.slice(this.#at(slot), this.#at(slot) + (command.receive ?? 0)),
      });
    else reject(new NvmeError(text, code));
    this.#free.push(slot);
    this.#waiting.shift()?.();
  }

  /** Ends all commands, now and later. Their memory is not used again: the controller may still write it. */
  fail(why: string): void {
    this.#failure ??= why;
    for (const { command, timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new NvmeError(`${command.name}: ${why}`));
    }
    this.#pending.clear();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #at(slot: number): number {
    return slot * (this.#options.transfer + page);
  }
  #iova(slot: number, at: number): bigint {
    return BigInt(this.#data.iova + this.#at(slot) + at);
  }

  /** After the controller's end. */
  [Symbol.dispose](): void {
    this.fail("the controller is closed");
    this.#own.dispose();
  }
}
