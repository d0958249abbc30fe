import { z } from "zod";
import { parsedState } from "./state-schema.ts";

const maxBase64 = 4096;
const bytes = z.base64().max(maxBase64);

/** A machine's state. */
const machineStateSchema = z.strictObject({
  version: z.literal(1),
  /** `struct kvm_irqchip` of the two PICs and the IOAPIC; none where the chips are split. */
  chips: z.array(bytes).max(3),
  /** `struct kvm_pit_state2`. */
  pit: bytes.optional(),
  /** The guest's clock, in nanoseconds. */
  clock: z.string().regex(/^\d{1,20}$/),
});

/** State of a machine without its memory and vCPUs; see `saveMachine`. Made for JSON. @useDeclaredType */
export type MachineState = z.infer<typeof machineStateSchema>;

/** @throws VfioError (`EBADSTATE`) if it is none */
export const parseMachineState = (state: unknown): MachineState =>
  parsedState(machineStateSchema, state, "a machine");
