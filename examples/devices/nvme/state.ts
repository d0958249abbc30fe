// What a snapshot carries of the controller besides its registers. Nothing of what is restored is trusted.
import { z } from "zod";
import type { Controller } from "./controller.ts";
import { DoorbellBuffers } from "./doorbell-buffers.ts";
import { commandOf, CompletionQueue, SubmissionQueue, type Command } from "./queues.ts";
import { largestQueue, page, queueCount, submissionMap } from "./registers.ts";

const integer = (least: number, most: number) => z.number().int().min(least).max(most);
const [word, long] = [integer(0, 0xffff_ffff), integer(0, Number.MAX_SAFE_INTEGER)];
const id = integer(0, queueCount - 1);
const address = long.multipleOf(page);
/** The admin queues may be larger than the others. */
const size = integer(2, 4 * largestQueue);
const ring = { id, base: address, size, head: word, tail: word };
const few = <T extends z.ZodType>(one: T, most = queueCount) => z.array(one).max(most);
const isRing = (one: { size: number; head: number; tail: number }): boolean =>
  one.head < one.size && one.tail < one.size;

const stateSchema = z.object({
  completions: few(z.object({ ...ring, phase: z.boolean(), vector: id.optional() }).refine(isRing)),
  submissions: few(z.object({ ...ring, of: id }).refine(isRing)),
  features: few(z.tuple([integer(1, 11), word]), 11),
  buffers: z.tuple([address, address]).optional(),
  errors: z.tuple([long, id, integer(0, 0xffff), integer(0, 0xffff)]),
  events: z.object({ isTold: z.boolean(), pending: few(integer(0, 1), 2) }),
  /** Those that were under way: their queue, and their bytes as hex. */
  commands: few(z.tuple([id, z.hex().length(2 * submissionMap.size)]), queueCount * 4 * largestQueue),
});

/** Made for JSON. */
export const saveController = (controller: Controller): z.infer<typeof stateSchema> => ({
  completions: [...controller.completions.values()].map(({ id, base, size, head, tail, phase, vector }) => ({
    ...{ id, base, size, head, tail, phase, vector },
  })),
  submissions: [...controller.submissions.values()].map(({ id, base, size, head, tail, completions }) => ({
    ...{ id, base, size, head, tail, of: completions.id },
  })),
  features: [...controller.features],
  buffers: controller.buffers && [...controller.buffers.addresses],
  errors: controller.logs.errors,
  events: { isTold: controller.events.isTold, pending: controller.events.pending },
  commands: [...controller.underWay].map(({ queue, bytes }) => [queue.id, bytes.toHex()]),
});

/** @returns commands that were under way, to be begun again @throws RangeError for what is no such state */
export function restoreController(controller: Controller, state: unknown): Command[] {
  const { success, data } = stateSchema.safeParse(state);
  if (!success) throw new RangeError("no NVMe controller's state");
  for (const { id, vector, ...one } of data.completions)
    controller.completions.set(id, Object.assign(new CompletionQueue({ id, ...one }, vector), one));
  for (const { id, of, ...one } of data.submissions) {
    const completions = controller.completions.get(of);
    if (!completions) throw new RangeError(`the state has no completion queue ${of}`);
    controller.submissions.set(id, Object.assign(new SubmissionQueue({ id, ...one }, completions), one));
  }
  for (const [number, value] of data.features) controller.features.set(number, value);
  controller.buffers = data.buffers && new DoorbellBuffers(controller.memory, data.buffers);
  controller.logs.errors = data.errors;
  Object.assign(controller.events, data.events);
  return data.commands.map(([queue, hex]) => {
    const of = controller.submissions.get(queue);
    if (!of) throw new RangeError(`the state has no submission queue ${queue}`);
    return commandOf(of, Uint8Array.fromHex(hex) as Uint8Array<ArrayBuffer>);
  });
}
