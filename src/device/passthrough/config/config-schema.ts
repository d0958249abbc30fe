import * as z from "zod";

/** State of config space: dwords that the guest can write, but for those of interrupts and of decoding. */
export const configSchema = () =>
  z.strictObject({
    registers: z.array(z.strictObject({ offset: z.int().min(0).max(0xffc), value: z.uint32() })).max(1024),
  });
export type ConfigState = z.infer<ReturnType<typeof configSchema>>;
