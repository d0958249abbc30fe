import type { DmaBuffer, KernelDevice, PhysicalBuffer } from "bun-vfio";
import { completionMap } from "./registers.ts";

/** `name` is for messages, `dwords` are 10 to 12, `receive` is in bytes, `memory` the address of what the controller keeps. */
export type Command = Data & { name: string; opcode: number; namespace?: number; dwords?: number[] };
type Data = { send?: Uint8Array; receive?: number; memory?: number };
type Answer = { readonly result: number; readonly data: Uint8Array<ArrayBuffer> };
type Pending = PromiseWithResolvers<Answer> & { readonly command: Command; readonly timer: Timer };

/** `transfer` is what a command can move, in bytes up to 2 MiB; `timeout` is in ms; `lost` hears why no answer can be relied on. */
type Options = { depth: number; transfer: number; timeout: number; ring: Ring; lost: (why: string) => void };
type Ring = (queue: "submission" | "completion", entry: number) => void;
export const page = 4096;
const meanings: Record<number, string> = {
  1: "invalid opcode",
  2: "invalid field",
  0x80: "LBA out of range",
};

/** A submission and a completion queue, and memory for the data of each command. `dispose` takes it from the device. */
export class Queue implements Disposable {
  interrupts = 0;
  /** A page of submissions, one of completions, then the data of each command. */
  readonly memory: DmaBuffer | PhysicalBuffer;
  readonly #options: Options;
  readonly #free: number[];
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  #tail = 0;
  #head = 0;
  #phase = true;
  #failure: string | undefined;

  constructor(device: KernelDevice, options: Options) {
    const { depth, transfer } = (this.#options = options);
    // One command less than entries: a full ring would look like an empty one.
    this.#free = Array.from({ length: depth - 1 }, (_, id) => 2 * page + id * (transfer + page));
    const memory = (device.dma ?? device.physical)?.allocate(2 * page + (depth - 1) * (transfer + page));
    if (!memory) throw new Error("without an IOMMU the kernel has to tell where memory is: Linux 7.3");
    this.memory = memory;
    // Behind the data of each slot, the list of its pages from the second on. It stays as it is.
    for (const slot of this.#free)
      for (let n = 1, list = slot + transfer; n * page < transfer; n++, list += 8)
        memory.view.setBigUint64(list, BigInt(memory.addressAt(slot + n * page)), true);
  }

  /** @throws Error where the controller refuses (with its `status`) or does not answer; RangeError for too much data */
  async submit(command: Command): Promise<Answer> {
    const { name, opcode, namespace = 0, dwords = [], send, receive = 0, memory } = command;
    const { transfer, timeout, depth, ring, lost } = this.#options;
    const size = send?.length ?? receive;
    if (size > transfer) throw new RangeError(`${name}: ${size} bytes are more than ${transfer}`);
    while (this.#free.length === 0 && !this.#failure) await new Promise<void>((go) => this.#waiting.push(go));
    if (this.#failure) throw new Error(`${name}: ${this.#failure}`);
    const slot = this.#free.pop()!;
    const id = (slot - 2 * page) / (transfer + page);
    if (send) this.memory.bytes.set(send, slot);
    // A second page is named in the command itself; of more, the list is.
    const first = memory ?? this.memory.addressAt(slot);
    const second = this.memory.addressAt(slot + (size > 2 * page ? transfer : page));
    const prps = [first, second].flatMap((at) => [at, Math.floor(at / 2 ** 32)]);
    const words = [opcode | (id << 16), namespace, 0, 0, 0, 0, ...prps, ...dwords, 0, 0, 0].slice(0, 13);
    this.memory.bytes.set(new Uint8Array(Uint32Array.from(words).buffer), this.#tail * 64);
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

  /** Takes the answers that have come. @param interrupts that told of them */
  look(interrupts = 0): void {
    this.interrupts += interrupts;
    const { depth, ring } = this.#options;
    const before = this.#head;
    // A controller that answers more than it can have been asked does not keep us here.
    for (let n = 1; n < depth && !this.#failure; n++) {
      const entry = completionMap.live(this.memory.registers, page + this.#head * 16);
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
    const slot = 2 * page + id * (this.#options.transfer + page);
    const text = `${command.name}: ${meanings[code] ?? "failed"} (status 0x${code.toString(16)})`;
    if (code !== 0) reject(Object.assign(new Error(text), { status: code }));
    // A copy, as the slot's next command comes here too.
    else resolve({ result, data: this.memory.bytes.slice(slot, slot + (command.receive ?? 0)) });
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

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}
