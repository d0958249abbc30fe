// Rings of submissions and completions in the guest's memory.
import type { DeviceMemory } from "bun-vfio";
import { completionMap } from "../../nvme/registers.ts";
import { submissionMap } from "./registers.ts";
import { status } from "./status.ts";

/** A command that was fetched, until it has ended. */
export interface Command {
  readonly queue: SubmissionQueue;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entry: InstanceType<typeof submissionMap.View>;
}

/** A command of a queue's, by its 64 bytes. */
export const commandOf = (queue: SubmissionQueue, bytes: Uint8Array<ArrayBuffer>): Command => ({
  ...{ queue, bytes },
  entry: new submissionMap.View(new DataView(bytes.buffer), 0),
});

/** `base` is the IOVA of the first entry, `size` counts entries. */
export type Place = { readonly id: number; readonly base: number; readonly size: number };

class Ring implements Place {
  readonly id: number;
  readonly base: number;
  readonly size: number;
  head = 0;
  tail = 0;

  constructor({ id, base, size }: Place) {
    [this.id, this.base, this.size] = [id, base, size];
  }
}

/** One entry, as it is made. Its last word is written last, and tells that the others are there. */
const room = new ArrayBuffer(completionMap.size);
const made = completionMap.view(new DataView(room));
const lastWord = completionMap.offsetOf("status");
const [beginning, end] = [new Uint8Array(room, 0, lastWord), new Uint8Array(room, lastWord)];

export class CompletionQueue extends Ring {
  /** The vector that tells of it; undefined for none. */
  readonly vector: number | undefined;
  /** What a new entry has, so that it can be told from one of the last time round. */
  phase = true;
  /** Room that commands which are under way will need. */
  reserved = 0;
  /** Entries that no interrupt has told of. */
  isNews = false;

  constructor(place: Place, vector: number | undefined) {
    super(place);
    this.vector = vector;
  }

  get used(): number {
    return (this.tail - this.head + this.size) % this.size;
  }
  /** Whether what one more command comes to has a place. One entry stays free, or a full ring would look empty. */
  get hasRoom(): boolean {
    return this.used + this.reserved < this.size - 1;
  }

  /** @throws VfioError where the ring is in no memory */
  post(memory: DeviceMemory, { queue, entry }: Command, how: number, result: number): void {
    made.result = result;
    made.placeHead = queue.head;
    made.placeQueue = queue.id;
    made.statusId = entry.commandId;
    made.statusPhase = this.phase;
    made.statusCode = how;
    made.statusFinal = how !== status.success && how !== status.aborted && how !== status.queueDeleted;
    const at = this.base + this.tail * completionMap.size;
    memory.write(at, beginning);
    memory.write(at + lastWord, end);
    this.tail = (this.tail + 1) % this.size;
    if (this.tail === 0) this.phase = !this.phase;
    this.isNews = true;
  }
}

export class SubmissionQueue extends Ring {
  readonly completions: CompletionQueue;
  /** Commands that the medium works on, and those that wait for it. */
  readonly working = new Set<Command>();
  readonly waiting: Command[] = [];
  /** It takes no more, and is gone once nothing is under way. */
  deletion: Command | undefined;

  constructor(place: Place, completions: CompletionQueue) {
    super(place);
    this.completions = completions;
  }

  get isEmpty(): boolean {
    return this.head === this.tail || this.deletion !== undefined;
  }

  /** Takes the next command. @throws VfioError where the ring is in no memory */
  fetch(memory: DeviceMemory): Command {
    const bytes = new Uint8Array(new ArrayBuffer(submissionMap.size));
    memory.read(this.base + this.head * submissionMap.size, bytes);
    this.head = (this.head + 1) % this.size;
    return commandOf(this, bytes);
  }
}
