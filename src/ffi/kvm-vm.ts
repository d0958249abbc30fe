// Requests on a virtual machine: its CPUs, chips, capabilities and clock (linux/kvm.h).
import { kvmCapability } from "../regs/ioctl/kvm-capability.ts";
import { KvmClockData, KvmEnableCap } from "../regs/ioctl/kvm-device.ts";
import { KvmIrqchip, KvmPitConfig, KvmPitState2 } from "../regs/ioctl/kvm-irqchip.ts";
import { kvmVcpuRequest, kvmVmRequest } from "../regs/ioctl/kvm-requests.ts";
import { checked, checkedWide, uint32 } from "../regs/ioctl/integer.ts";
import { bytesOf, create, memberRange } from "../regs/ioctl/struct.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";
import type { KvmCapability } from "./kvm-system.ts";
import { hex } from "../regs/hex-text.ts";

/** KVM_CREATE_VCPU. @param id on x86 its APIC ID @returns a descriptor that the caller closes */
export const createVcpu = (vm: number, id: number, context: IoctlContext = {}): number =>
  ioctl(vm, kvmVmRequest.CREATE_VCPU, checked(id, uint32("a vCPU's id")), {
    ...context,
    request: `KVM_CREATE_VCPU ${id}`,
  });

const capabilityArgument = memberRange(KvmEnableCap, "args");

/** KVM_ENABLE_CAP on a virtual machine. @param args up to four values of 64 bits */
export function enableVmCapability(
  vm: number,
  name: KvmCapability,
  args: readonly bigint[],
  context: IoctlContext = {},
): void {
  const argument = create(KvmEnableCap);
  argument.cap = kvmCapability[name];
  if (args.length > argument.args.length)
    throw new RangeError(`a capability has at most ${argument.args.length} arguments, not ${args.length}`);
  args.forEach((value, i) => (argument.args[i] = checkedWide(value, capabilityArgument)));
  ioctl(vm, kvmVcpuRequest.ENABLE_CAP, bytesOf(argument), { ...context, request: `KVM_ENABLE_CAP ${name}` });
}

/** KVM_SET_TSS_ADDR (x86): three pages below 4 GiB that Intel's KVM takes, where no guest memory is. */
export function setTssAddress(vm: number, address: number, context: IoctlContext = {}): void {
  ioctl(vm, kvmVmRequest.SET_TSS_ADDR, checked(address, uint32("the address of the TSS")), {
    ...context,
    request: `KVM_SET_TSS_ADDR ${hex(address)}`,
  });
}

/** KVM_CREATE_IRQCHIP: on x86 two PICs, the IOAPIC, and a local APIC for each vCPU made afterwards. */
export function createIrqchip(vm: number, context: IoctlContext = {}): void {
  ioctl(vm, kvmVmRequest.CREATE_IRQCHIP, 0, { ...context, request: "KVM_CREATE_IRQCHIP" });
}

/** KVM_CREATE_PIT2 (x86): the timer chip 8254. @param flags of `kvmPitFlag` */
export function createPit2(vm: number, flags: number, context: IoctlContext = {}): void {
  const argument = create(KvmPitConfig);
  argument.flags = flags;
  ioctl(vm, kvmVmRequest.CREATE_PIT2, bytesOf(argument), { ...context, request: "KVM_CREATE_PIT2" });
}

/** KVM_GET_IRQCHIP. @param chip of `kvmIrqchipId` @returns `struct kvm_irqchip` */
export function getIrqchip(vm: number, chip: number, context: IoctlContext = {}): Uint8Array {
  const state = create(KvmIrqchip);
  state.chip_id = chip;
  ioctl(vm, kvmVmRequest.GET_IRQCHIP, bytesOf(state), { ...context, request: `KVM_GET_IRQCHIP ${chip}` });
  return bytesOf(state);
}
/** KVM_SET_IRQCHIP. @param state as `getIrqchip` returned it */
export function setIrqchip(vm: number, state: Uint8Array, context: IoctlContext = {}): void {
  ioctl(vm, kvmVmRequest.SET_IRQCHIP, state, { ...context, request: `KVM_SET_IRQCHIP ${state[0]}` });
}

/** KVM_GET_PIT2. @returns `struct kvm_pit_state2` */
export function getPit2(vm: number, context: IoctlContext = {}): Uint8Array {
  const state = create(KvmPitState2);
  ioctl(vm, kvmVmRequest.GET_PIT2, bytesOf(state), { ...context, request: "KVM_GET_PIT2" });
  return bytesOf(state);
}
/** KVM_SET_PIT2. @param state as `getPit2` returned it */
export function setPit2(vm: number, state: Uint8Array, context: IoctlContext = {}): void {
  ioctl(vm, kvmVmRequest.SET_PIT2, state, { ...context, request: "KVM_SET_PIT2" });
}

/** KVM_GET_CLOCK (x86): the guest's clock, in nanoseconds. */
export function getClock(vm: number, context: IoctlContext = {}): bigint {
  const clock = create(KvmClockData);
  ioctl(vm, kvmVmRequest.GET_CLOCK, bytesOf(clock), { ...context, request: "KVM_GET_CLOCK" });
  return clock.clock;
}
/** KVM_SET_CLOCK. @param nanoseconds as `getClock` returned them */
export function setClock(vm: number, nanoseconds: bigint, context: IoctlContext = {}): void {
  const clock = create(KvmClockData);
  clock.clock = nanoseconds;
  ioctl(vm, kvmVmRequest.SET_CLOCK, bytesOf(clock), { ...context, request: "KVM_SET_CLOCK" });
}
