/**
 * Virtual machines of KVM, and the platform of the passthrough model on them.
 * @module bun-vfio/kvm
 */
export { AccessMailbox } from "./access-mailbox.ts";
export * from "./exit-text.ts";
export * from "./guest-memory.ts";
export type { KvmInterrupts } from "./interrupts.ts";
export type { Ioeventfds } from "./ioeventfds.ts";
export { Kvm } from "./kvm.ts";
export { VirtualMachine, type MachineOptions } from "./machine.ts";
export type { LocalDevice, LocalDevices, MakeLocalDevices } from "./local-devices.ts";
export { loadMemory, saveMemory, type MemoryContents } from "./memory-image.ts";
export type { KvmMemorySlots, KvmSlotRequest } from "./memory-slots.ts";
export type { PostedRange } from "./posted-writes.ts";
export { KvmPlatform, type KvmPlatformOptions } from "./platform.ts";
export * from "./run-loop.ts";
export type { RunPage } from "./run-page.ts";
export * from "./trap-bus.ts";
export { Vcpu, type VcpuOptions } from "./vcpu.ts";
export { VcpuControl } from "./vcpu-control.ts";
export { VcpuThreads, type VcpuStart, type VcpuThreadsOptions } from "./vcpu-threads.ts";
export type { VfioRegistry } from "./vfio-registry.ts";
export { parseBzImage, type BzImage } from "./x86/bzimage.ts";
export { cpuidOf } from "./x86/cpuid.ts";
export type { Gic, GicOptions } from "./arm64/gic.ts";
export { getCoreRegister, setCoreRegister, type CoreRegister } from "./arm64/registers.ts";
export type { IrqchipPlace } from "./x86/irqchip.ts";
export { loadLinux, memoryType, type LinuxOptions, type MemoryArea } from "./x86/load-linux.ts";
export {
  enterLongMode,
  longModeTablesSize,
  writeLongModeTables,
  type LongModeEntry,
} from "./x86/long-mode.ts";
export { restoreMachine, saveMachine, type MachineState } from "./x86/machine-state.ts";
export {
  restoreVcpu,
  saveVcpu,
  vcpuStateOptions,
  type StoppedVcpu,
  type VcpuState,
  type VcpuStateOptions,
} from "./x86/vcpu-state.ts";
