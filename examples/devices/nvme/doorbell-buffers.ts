// Shadow doorbells (Doorbell Buffer Config, 5.7): the guest writes to memory instead of a register, and rings only where this side
// asked for it. Both write theirs before they look at the other's: no processor may turn that round.
import type { DeviceMemory } from "bun-vfio";
import type { CompletionQueue, SubmissionQueue } from "./queues.ts";

const word = new Uint32Array(new ArrayBuffer(4));
const bytes = new Uint8Array(word.buffer);
const barrier = new Int32Array(new SharedArrayBuffer(4));

export class DoorbellBuffers {
  readonly #memory: DeviceMemory;
  /** IOVAs of the page that the guest writes, and of the one that it compares with. */
  readonly addresses: readonly [shadows: number, events: number];

  constructor(memory: DeviceMemory, addresses: DoorbellBuffers["addresses"]) {
    [this.#memory, this.addresses] = [memory, addresses];
  }
  #load(index: number): number {
    Atomics.add(barrier, 0, 1);
    this.#memory.read(this.addresses[0] + 4 * index, bytes);
    return word[0]!;
  }
  #store(page: 0 | 1, index: number, value: number): void {
    word[0] = value;
    this.#memory.write(this.addresses[page] + 4 * index, bytes);
  }

  tail = ({ id }: SubmissionQueue): number => this.#load(2 * id);
  head = ({ id }: CompletionQueue): number => this.#load(2 * id + 1);
  /** Asks for the doorbell once the guest goes past what was seen. */
  wakeAtTail = ({ id, tail }: SubmissionQueue): void => this.#store(1, 2 * id, tail);
  wakeAtHead = ({ id, head }: CompletionQueue): void => this.#store(1, 2 * id + 1, head);

  /** What the guest has rung so far. @throws VfioError where there is no memory */
  begin(queue: SubmissionQueue): void {
    this.#store(0, 2 * queue.id, queue.tail);
    this.#store(0, 2 * queue.completions.id + 1, queue.completions.head);
    this.wakeAtTail(queue);
  }
}
