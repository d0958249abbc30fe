import * as z from "zod";

const pending = () => z.array(z.int().min(0).max(2047)).max(2048);

/** State of MSI and MSI-X; null where the device has no such capability. */
export const interruptsSchema = () =>
  z.strictObject({
    msi: z
      .strictObject({
        /** The capability's dwords, in their order: of each the bits that the guest can write. */
        registers: z.array(z.uint32()).max(6),
        /** Vectors whose events wait. */
        pending: pending(),
      })
      .nullable(),
    msix: z
      .strictObject({
        enable: z.boolean(),
        functionMask: z.boolean(),
        /** The table as the guest sees it, in hex. */
        table: z.string().regex(/^([0-9a-f]{32}){1,2048}$/),
        pending: pending(),
      })
      .nullable(),
  });
export type InterruptsState = z.infer<ReturnType<typeof interruptsSchema>>;
