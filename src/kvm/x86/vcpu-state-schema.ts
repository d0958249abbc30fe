import { z } from "zod";
import { parsedState } from "./state-schema.ts";

const word = z.int().min(0).max(0xffff_ffff);
const maxMsrs = 4096;
const maxLeaves = 256;
const maxBase64 = 65536;

/** A vCPU's state. */
const vcpuStateSchema = z.strictObject({
  version: z.literal(1),
  cpuid: z
    .array(
      z.strictObject({
        leaf: word,
        index: word,
        indexed: z.boolean(),
        eax: word,
        ebx: word,
        ecx: word,
        edx: word,
      }),
    )
    .max(maxLeaves),
  /** By the name of the kernel's struct, base64. */
  parts: z.record(z.string(), z.base64().max(maxBase64)),
  msrs: z.array(z.strictObject({ index: word, data: z.string().regex(/^0x[0-9a-f]{1,16}$/) })).max(maxMsrs),
});
/** State of a vCPU; see `saveVcpu`. Made for JSON. @useDeclaredType */
export type VcpuState = z.infer<typeof vcpuStateSchema>;

/** @throws VfioError (`EBADSTATE`) if it is none */
export const parseVcpuState = (state: unknown): VcpuState => parsedState(vcpuStateSchema, state, "a vCPU");
