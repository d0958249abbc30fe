import * as z from "zod";

/** What decides whether the device decodes. */
export const decodingSchema = () =>
  z.strictObject({
    /** COMMAND as the guest last wrote it. */
    command: z.int().min(0).max(0xffff),
    /** D0 to D3hot. */
    power: z.int().min(0).max(3),
    /** COMMAND when the device left D0, with which it wakes up; the same as `command` in D0. */
    sleepCommand: z.int().min(0).max(0xffff),
  });
export type DecodingState = z.infer<ReturnType<typeof decodingSchema>>;
