// What a virtual machine is besides its memory and its vCPUs: interrupt chips, timer, clock.
import { VfioError } from "../../ffi/errors.ts";
import * as ffi from "../../ffi/kvm-vm.ts";
import { KvmIrqchip, kvmIrqchipId, KvmPitState2 } from "../../regs/ioctl/kvm-irqchip.ts";
import type { VirtualMachine } from "../machine.ts";
import type { MachineState } from "./machine-state-schema.ts";

export type { MachineState } from "./machine-state-schema.ts";

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
  const { parseMachineState } =
    require("./machine-state-schema.ts") as typeof import("./machine-state-schema.ts");
  const { chips, clock, pit: timer } = parseMachineState(state);
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
