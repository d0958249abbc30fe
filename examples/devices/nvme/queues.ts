// Rings of submissions and completions in the guest's memory.
import type { DeviceMemory } from "bun-vfio";
import { completionMap } from "../../nvme/registers.ts";
import { submissionMap } from "./registers.ts";
import { status } from "./status.ts";

/** Where a ring is: `base` is the IOVA of its first entry, `size` counts entries. */
export type Place = { readonly id: number; readonly base: number; readonly size: number };
type Ring = Place & { head: number; tail: number };

export interface CompletionQueue extends Ring {
  /** What tells of it; undefined for nothing. */
  readonly vector?: number | undefined;
  /** What a new entry has, so that it can be told from one of the last time round. */
  phase: boolean;
  /** Room that commands which are under way will need. */
  reserved: number;
  /** There are entries that no interrupt has told of. */
  isNews: boolean;
}
export interface SubmissionQueue extends Ring {
  readonly completions: CompletionQueue;
  /** Commands that the medium works on, and those that wait for it. */
  readonly working: Set<Command>;
  readonly waiting: Command[];
  /** It takes no more, and is gone once nothing is under way. */
  deletion?: Command;
}
export const completionQueue = (place: Place, vector?: number): CompletionQueue => ({
  ...{ head: 0, tail: 0, phase: true, ...place, vector, reserved: 0, isNews: false },
});
export const submissionQueue = (place: Place, completions: CompletionQueue): SubmissionQueue => ({
  ...{ head: 0, tail: 0, ...place, completions, working: new Set(), waiting: [] },
});

/** A command that was fetched, until it has ended. */
export interface Command {
  readonly queue: SubmissionQueue;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entry: InstanceType<typeof submissionMap.View>;
}
export const commandOf = (queue: SubmissionQueue, bytes: Uint8Array<ArrayBuffer>): Command => ({
  ...{ queue, bytes, entry: new submissionMap.View(new DataView(bytes.buffer), 0) },
});

/** Takes the next command. @throws VfioError where the ring is in no memory */
export function fetch(memory: DeviceMemory, queue: SubmissionQueue): Command {
  const bytes = new Uint8Array(new ArrayBuffer(submissionMap.size));
  memory.read(queue.base + queue.head * submissionMap.size, bytes);
  queue.head = (queue.head + 1) % queue.size;
  return commandOf(queue, bytes);
}

const usedOf = ({ head, tail, size }: Ring): number => (tail - head + size) % size;
/** Whether what one more command comes to has a place. One entry stays free, or a full ring would look empty. */
export const hasRoom = (queue: CompletionQueue): boolean => usedOf(queue) + queue.reserved < queue.size - 1;

/** The guest has put, or taken, entries up to `value`. @returns false where that cannot be */
export function ring(queue: SubmissionQueue | CompletionQueue, value: number): boolean {
  const isSubmission = "working" in queue;
  if (value >= queue.size || (!isSubmission && usedOf({ ...queue, tail: value }) > usedOf(queue)))
    return false;
  queue[isSubmission ? "tail" : "head"] = value;
  return true;
}

/** One entry, as it is made. Its last word is written last, and tells that the others are there. */
const room = new ArrayBuffer(completionMap.size);
const made = completionMap.view(new DataView(room));
const lastWord = completionMap.offsetOf("status");
const [beginning, end] = [new Uint8Array(room, 0, lastWord), new Uint8Array(room, lastWord)];

/** @throws VfioError where the ring is in no memory */
export function post(memory: DeviceMemory, { queue, entry }: Command, how: number, result: number): void {
  const { completions: to } = queue;
  [made.result, made.placeHead, made.placeQueue] = [result, queue.head, queue.id];
  [made.statusId, made.statusPhase, made.statusCode] = [entry.commandId, to.phase, how];
  made.statusFinal = how !== status.success && how !== status.aborted && how !== status.queueDeleted;
  const at = to.base + to.tail * completionMap.size;
  memory.write(at, beginning);
  memory.write(at + lastWord, end);
  to.tail = (to.tail + 1) % to.size;
  if (to.tail === 0) to.phase = !to.phase;
  to.isNews = true;
}
