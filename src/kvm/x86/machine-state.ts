// What a virtual machine is besides its memory and its vCPUs: interrupt chips, timer, clock.
import { z } from "zod";
import { VfioError } from "../../ffi/errors.ts";
import * as ffi from "../../ffi/kvm-vm.ts";
import { KvmIrqchip, kvmIrqchipId, KvmPitState2 } from "../../regs/ioctl/kvm-irqchip.ts";
import type { VirtualMachine } from "../machine.ts";

const maxBase64 = 4096;
const bytes = z.base64().max(maxBase64);

/** A machine's state. */
export const MachineStateSchema = z.strictObject({
  version: z.literal(1),
  /** `struct kvm_irqchip` of the two PICs and the IOAPIC; none where the chips are split. */
  chips: z.array(bytes).max(3),
  /** `struct kvm_pit_state2`. */
  pit: bytes.optional(),
  /** The guest's clock, in nanoseconds. */
  clock: z.string().regex(/^\d{1,20}$/),
});
/** State of a machine without its memory and vCPUs; see `saveMachine`. Made for JSON. @useDeclaredType */
export type MachineState = z.infer<typeof MachineStateSchema>;

const chipIds = [kvmIrqchipId.PIC_MASTER, kvmIrqchipId.PIC_SLAVE, kvmIrqchipId.IOAPIC];

/** The state of a machine. @param machine whose vCPUs are stopped @throws VfioError */
export function saveMachine({ fd, irqchip, pit }: VirtualMachine): MachineState {
  return {
    version: 1,
    chips: irqchip === "kernel" ? chipIds.map((id) => ffi.getIrqchip(fd, id).toBase64()) : [],
    ...(pit ? { pit: ffi.getPit2(fd).toBase64() } : {}),
    clock: String(ffi.getClock(fd)),
  };
}

/**
 * Makes a machine what another was.
 * @param machine whose vCPUs have not run yet @param state as `saveMachine` gave it
 * @throws VfioError (`EBADSTATE`) if this is no state, or of a machine with other chips; others where KVM refuses a part
 */
export function restoreMachine({ fd, irqchip, pit }: VirtualMachine, state: unknown): void {
  const parsed = MachineStateSchema.safeParse(state);
  if (!parsed.success) throw badState(`this is no state of a machine: ${z.prettifyError(parsed.error)}`);
  const { chips, clock, pit: timer } = parsed.data;
  if (chips.length !== (irqchip === "kernel" ? chipIds.length : 0) || (timer !== undefined) !== pit)
    throw badState("the saved machine has other interrupt chips than this one, or another timer");
  for (const chip of chips) ffi.setIrqchip(fd, sized(chip, KvmIrqchip.baseSize, "an interrupt chip"));
  if (timer !== undefined) ffi.setPit2(fd, sized(timer, KvmPitState2.baseSize, "the timer"));
  ffi.setClock(fd, BigInt(clock));
}

function sized(text: string, size: number, what: string): Uint8Array<ArrayBuffer> {
  const data = Uint8Array.fromBase64(text);
  if (data.length !== size) throw badState(`${what} has ${data.length} bytes, not ${size}`);
  return data;
}

const badState = (message: string): VfioError => new VfioError(message, { code: "EBADSTATE" });
