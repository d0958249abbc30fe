// The interrupt chips of a PC in the kernel, and the routes that belong to them.
import { createIrqchip, createPit2, enableVmCapability } from "../../ffi/kvm-vm.ts";
import type { ChipRoute } from "../../ffi/kvm-interrupts.ts";
import { kvmIrqchipId, kvmPitFlag } from "../../regs/ioctl/kvm-irqchip.ts";

/**
 * Where the interrupt controllers are: `kernel`, PICs, IOAPIC and local APICs; `split`, local APICs in the kernel, PICs and
 * IOAPIC with the VMM.
 */
export type IrqchipPlace = "kernel" | "split";

/** Pins of the IOAPIC: GSIs that messages do not get. */
export const ioapicPins = 24;

/** KVM's own routes of the two PICs and the IOAPIC, which a new table has to repeat (arch/x86/kvm/irq_comm.c). */
function chipRoutes(): ChipRoute[] {
  return Array.from({ length: ioapicPins }, (_, gsi): ChipRoute[] => {
    const ioapic = { gsi, chip: kvmIrqchipId.IOAPIC, pin: gsi };
    if (gsi >= 16) return [ioapic];
    const pic = gsi < 8 ? kvmIrqchipId.PIC_MASTER : kvmIrqchipId.PIC_SLAVE;
    return [{ gsi, chip: pic, pin: gsi % 8 }, ioapic];
  }).flat();
}

/** Makes the chips, before any vCPU. @param pit the timer chip (8254) too @returns the routes of their pins @throws VfioError */
export function createChips(vm: number, place: IrqchipPlace, pit: boolean): ChipRoute[] {
  if (place === "split") {
    enableVmCapability(vm, "SPLIT_IRQCHIP", [BigInt(ioapicPins)]);
    return [];
  }
  createIrqchip(vm);
  // Port 0x61 answers too: a guest that reads it has nobody else to ask.
  if (pit) createPit2(vm, kvmPitFlag.SPEAKER_DUMMY);
  return chipRoutes();
}
