// Shadow doorbells (Doorbell Buffer Config, 5.7): the guest writes to memory instead of a register, and rings only where this side
// asked for it.
import type { DeviceMemory } from "bun-vfio";
import type { CompletionQueue, SubmissionQueue } from "./queues.ts";

type Numbered = { readonly id: number };

export class DoorbellBuffers {
  readonly #memory: DeviceMemory;
  /** IOVAs of the page that the guest writes, and of the one that it compares with. */
  readonly addresses: readonly [shadows: number, events: number];

  constructor(memory: DeviceMemory, addresses: readonly [shadows: number, events: number]) {
    [this.#memory, this.addresses] = [memory, addresses];
  }

  /** The word itself, since both sides change theirs while they look at the other's; undefined where it is not mapped. */
  #word(page: 0 | 1, index: number): Int32Array | undefined {
    const view = this.#memory.view(this.addresses[page] + 4 * index, 4, "write");
    return view && new Int32Array(view.buffer, view.byteOffset, 1);
  }
  #load(index: number): number {
    const word = this.#word(0, index);
    if (word) return Atomics.load(word, 0) >>> 0;
    const copy = new Uint32Array(new ArrayBuffer(4));
    this.#memory.read(this.addresses[0] + 4 * index, new Uint8Array(copy.buffer));
    return copy[0]!;
  }
  #store(page: 0 | 1, index: number, value: number): void {
    const word = this.#word(page, index);
    if (word) Atomics.store(word, 0, value);
    else this.#memory.write(this.addresses[page] + 4 * index, new Uint8Array(Uint32Array.of(value).buffer));
  }

  tail = ({ id }: Numbered): number => this.#load(2 * id);
  head = ({ id }: Numbered): number => this.#load(2 * id + 1);
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
