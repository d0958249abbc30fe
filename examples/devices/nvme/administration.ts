// The commands of the admin queue (5).
import { copyPieces } from "bun-vfio";
import type { Controller } from "./controller.ts";
import { DoorbellBuffers } from "./doorbell-buffers.ts";
import { identify } from "./identity.ts";
import { dataPieces } from "./pages.ts";
import { completionQueue, submissionQueue, type Command, type Place } from "./queues.ts";
import { largestQueue, page, queueCount } from "./registers.ts";
import { CommandError, need } from "./status.ts";

const opcode = {
  ...{ deleteSubmissions: 0, createSubmissions: 1, getLog: 2, deleteCompletions: 4, createCompletions: 5 },
  ...{ identify: 6, abort: 8, setFeatures: 9, getFeatures: 10, event: 12, doorbellBuffers: 0x7c },
} as const;
/** Features that are kept, and change nothing; but the number of queues is always what there is. */
const features: ReadonlySet<number> = new Set([1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
const [numberOfQueues, granted] = [7, (queueCount - 2) * 0x10001];
/** Bits of a queue that is made, in dword 11. */
const [contiguous, interrupts] = [1, 2];

/** What `administer` gives for a command that ends later. */
export const later = Symbol("later");

/** Does a command. @returns its result, 0 without, or `later` @throws CommandError, VfioError for memory that is none */
export function administer(controller: Controller, command: Command): number | typeof later | undefined {
  const { submissions, completions, memory } = controller;
  const { entry } = command;
  const { dword10Low: low, dword10High: high } = entry;
  const give = (data: Uint8Array): undefined =>
    void copyPieces(memory, "write", dataPieces(memory, command, data.length), data);
  switch (entry.commandOpcode) {
    case opcode.identify:
      return give(identify(low & 0xff, entry.namespace, controller.serial, controller.storage.blocks));
    case opcode.getLog:
      return give(logData(controller, command));
    case opcode.createCompletions: {
      const vector = entry.dword11High;
      need(vector < queueCount, "invalidVector");
      const isTold = (entry.dword11 & interrupts) !== 0;
      const queue = completionQueue(placeOf(command, completions), isTold ? vector : undefined);
      return void completions.set(low, queue);
    }
    case opcode.createSubmissions: {
      const of = completions.get(entry.dword11High);
      need(of !== undefined && of.id !== 0, "invalidCompletions");
      const queue = submissionQueue(placeOf(command, submissions), of);
      controller.buffers?.begin(queue);
      return void submissions.set(low, queue);
    }
    case opcode.deleteSubmissions: {
      const queue = submissions.get(low);
      need(queue !== undefined && low !== 0 && !queue.deletion, "invalidQueue");
      queue.deletion = command;
      controller.remove(queue);
      return later;
    }
    case opcode.deleteCompletions: {
      need(low !== 0 && completions.has(low), "invalidQueue");
      const isUsed = [...submissions.values()].some((queue) => queue.completions.id === low);
      need(!isUsed, "invalidDeletion");
      return void completions.delete(low);
    }
    case opcode.abort:
      return Number(!controller.abort(low, high));
    case opcode.setFeatures:
      return setFeature(controller, command);
    case opcode.getFeatures:
      need(features.has(low), "invalidField");
      return low === numberOfQueues ? granted : (controller.features.get(low) ?? 0);
    case opcode.event:
      controller.events.park(command);
      return later;
    case opcode.doorbellBuffers: {
      const addresses = [entry.firstLow, entry.secondLow] as const;
      const isPage = addresses.every((one) => one > 0 && one % page === 0);
      need(isPage && entry.firstBeyond === 0 && entry.secondBeyond === 0, "prpOffset");
      const buffers = new DoorbellBuffers(memory, addresses);
      for (const queue of submissions.values()) if (queue.id !== 0) buffers.begin(queue);
      return void (controller.buffers = buffers);
    }
    default:
      throw new CommandError("invalidOpcode");
  }
}

/** The queue that a command asks for. @throws CommandError where it cannot be */
function placeOf({ entry }: Command, there: ReadonlyMap<number, Place>): Place {
  const [id, size] = [entry.dword10Low, entry.dword10High + 1];
  need(id > 0 && id < queueCount && !there.has(id), "invalidQueue");
  need(size >= 2 && size <= largestQueue, "invalidQueueSize");
  need((entry.dword11 & contiguous) !== 0, "invalidField");
  need(entry.firstLow % page === 0 && entry.firstBeyond === 0, "prpOffset");
  return { id, base: entry.firstLow, size };
}

function logData({ logs, events }: Controller, { entry }: Command): Uint8Array {
  const log = entry.dword10Low & 0xff;
  const data = logs.read(log);
  need(entry.dword12 === 0 && entry.dword13 === 0, "invalidField");
  const retainsEvents = (entry.dword10Low & 0x8000) !== 0;
  if (!retainsEvents) events.wasRead(log);
  return data.subarray(0, 4 * (entry.dword10High + entry.dword11Low * 2 ** 16 + 1));
}

function setFeature(
  { features: set, submissions, completions }: Controller,
  { entry }: Command,
): number | undefined {
  const { dword10Low: number, dword10, dword11 } = entry;
  const isToBeSaved = dword10 >= 2 ** 31;
  need(!isToBeSaved, "notSaveable");
  need(features.has(number), "invalidField");
  if (number !== numberOfQueues) return void set.set(number, dword11);
  need(entry.dword11Low !== 0xffff && entry.dword11High !== 0xffff, "invalidField");
  need(submissions.size === 1 && completions.size === 1, "sequence");
  return granted;
}
