// What a flight recorder's file says of its device, checked: the file comes from anywhere.
import * as z from "zod";
import { maxIndex } from "../../regs/vfio/regions.ts";
import { windowNames, type TracedDevice } from "../seam/trace.ts";

const schema = () => {
  const size = z.int().min(0);
  const area = z.strictObject({ offset: size, size });
  const region = z.strictObject({
    index: size.max(maxIndex),
    size,
    readable: z.boolean(),
    writable: z.boolean(),
    mappable: z.boolean(),
    sparse: z.array(area).max(1024).optional(),
    msixMappable: z.boolean(),
    type: z.strictObject({ type: z.uint32(), subtype: z.uint32() }).optional(),
  });
  const irq = z.strictObject({
    index: size.max(maxIndex),
    count: size.max(65535),
    eventfd: z.boolean(),
    maskable: z.boolean(),
    automasked: z.boolean(),
    noResize: z.boolean(),
  });
  return z.strictObject({
    name: z.string().max(256),
    regions: z.array(region).max(maxIndex + 1),
    irqs: z.array(irq).max(maxIndex + 1),
    resettable: z.boolean(),
    config: z
      .string()
      .regex(/^(?:[0-9a-f]{512}|[0-9a-f]{8192})$/, "expected 256 or 4096 bytes of hex")
      .transform((hex) => Uint8Array.fromHex(hex)),
    pageSize: z
      .int()
      .min(4096)
      .max(2 ** 30),
    // JSON has null for what is undefined.
    windows: z
      .array(z.strictObject({ base: size, size }).nullable())
      .length(windowNames.length)
      .transform((windows) => windows.map((window) => window ?? undefined)),
    peers: z.boolean(),
    // Absent in what was recorded before there were such rests.
    keepsFree: z.boolean().default(false),
    options: z.record(z.string().max(64), z.unknown()),
  });
};

/** @throws ZodError */
export const parseDevice = (json: unknown): TracedDevice => schema().parse(json);
