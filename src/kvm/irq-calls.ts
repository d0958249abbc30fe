// The requests of KVM that interrupts need, apart from the logic that decides on them.
import type { MsiMessage } from "../device/seam/platform.ts";
import {
  assignIrqfd,
  deassignIrqfd,
  encodeRouting,
  setGsiRouting,
  type ChipRoute,
} from "../ffi/kvm-interrupts.ts";
import type { VmDescriptor } from "./vm-descriptor.ts";

/** What the logic of interrupts asks of a virtual machine. Each call does all of its work or throws a `VfioError`. */
export interface IrqCalls {
  /** Replaces the whole routing table (KVM_SET_GSI_ROUTING). */
  setRouting(chips: readonly ChipRoute[], messages: ReadonlyMap<number, MsiMessage>): void;
  /** Ties an eventfd to a GSI (KVM_IRQFD); with `resample`, level-triggered: KVM signals that one at the end of interrupt. */
  connect(eventfd: number, gsi: number, resample?: number): void;
  /** Unties it; when this returns, nothing is injected by it any more. */
  disconnect(eventfd: number, gsi: number): void;
}

/** The calls on a virtual machine's descriptor. @param withDevid whether KVM routes by device ID (KVM_CAP_MSI_DEVID) */
export const irqCalls = (vm: VmDescriptor, withDevid: boolean): IrqCalls => ({
  setRouting: (chips, messages) => setGsiRouting(vm.fd, encodeRouting(chips, messages, withDevid)),
  connect: (eventfd, gsi, resample) => assignIrqfd(vm.fd, eventfd, gsi, resample),
  disconnect: (eventfd, gsi) => deassignIrqfd(vm.fd, eventfd, gsi),
});
