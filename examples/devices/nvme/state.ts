// What a snapshot carries of the controller besides its registers. Nothing of what is restored is trusted.
import { z } from "zod";
import type { Controller } from "./controller.ts";
import { DoorbellBuffers } from "./doorbell-buffers.ts";
import { commandOf, completionQueue, submissionQueue } from "./queues.ts";
import { largestQueue, page, queueCount, submissionMap } from "./registers.ts";

const integer = (least: number, most: number) => z.number().int().min(least).max(most);
const [word, long, id] = [integer(0, 2 ** 32 - 1), integer(0, 2 ** 53 - 1), integer(0, queueCount - 1)];
/** The admin queues may be larger than the others. */
const largest = 4 * largestQueue;
const place = { id, base: long.multipleOf(page), size: integer(2, largest), head: word, tail: word };
const few = <T extends z.ZodType>(one: T, most: number = queueCount) => z.array(one).max(most);
const isRing = (one: { size: number; head: number; tail: number }): boolean =>
  one.head < one.size && one.tail < one.size;

const stateSchema = z.object({
  completions: few(z.object({ ...place, phase: z.boolean(), vector: id.optional() }).refine(isRing)),
  submissions: few(z.object({ ...place, of: id }).refine(isRing)),
  features: few(z.tuple([integer(1, 11), word]), 11),
  buffers: z.tuple([place.base, place.base]).optional(),
  errors: z.tuple([long, id, integer(0, 0xffff), integer(0, 0xffff)]),
  events: z.object({ isTold: z.boolean(), pending: few(integer(0, 1), 2) }),
  /** Those that were under way: their queue, and their bytes as hex. */
  commands: few(z.tuple([id, z.hex().length(2 * submissionMap.size)]), queueCount * largest),
});

/** Made for JSON. */
export const saveController = ({ events, ...controller }: Controller): unknown => ({
  completions: [...controller.completions.values()],
  submissions: [...controller.submissions.values()].map(({ id, base, size, head, tail, completions }) => ({
    ...{ id, base, size, head, tail, of: completions.id },
  })),
  ...{ features: [...controller.features], buffers: controller.buffers?.addresses },
  ...{ errors: controller.logs.errors, events: { isTold: events.isTold, pending: events.pending } },
  commands: [...controller.underWay].map(({ queue, bytes }) => [queue.id, bytes.toHex()]),
});

/** @throws RangeError for what is no such state */
export function restoreController(controller: Controller, state: unknown): void {
  const { data } = stateSchema.safeParse(state);
  const known = <T>(one: T | undefined): T => {
    if (one === undefined) throw new RangeError("no NVMe controller's state");
    return one;
  };
  const { completions, submissions, features, buffers, errors, events, commands } = known(data);
  for (const one of completions) controller.completions.set(one.id, completionQueue(one, one.vector));
  for (const { of, ...one } of submissions)
    controller.submissions.set(one.id, submissionQueue(one, known(controller.completions.get(of))));
  for (const [number, value] of features) controller.features.set(number, value);
  controller.buffers = buffers && new DoorbellBuffers(controller.memory, buffers);
  controller.logs.errors = errors;
  Object.assign(controller.events, events);
  const begun = commands.map(([queue, hex]) =>
    commandOf(known(controller.submissions.get(queue)), Uint8Array.fromHex(hex) as Uint8Array<ArrayBuffer>),
  );
  controller.resume(begun);
}
