// linux/kvm.h: the page that a vCPU shares with its VMM. The members of x86.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_run`, the member `hw`: EXIT_UNKNOWN. */
export const KvmRunHw = new Struct("kvm_run.hw").BigUInt64LE("hardware_exit_reason").compile();
/** `struct kvm_run`, the member `fail_entry`: EXIT_FAIL_ENTRY. */
export const KvmRunFailEntry = new Struct("kvm_run.fail_entry")
  .BigUInt64LE("hardware_entry_failure_reason")
  .UInt32LE("cpu")
  .seek(4)
  .compile();
/** `struct kvm_run`, the member `ex`: EXIT_EXCEPTION. */
export const KvmRunEx = new Struct("kvm_run.ex").UInt32LE("exception").UInt32LE("error_code").compile();
/** `struct kvm_run`, the member `io`: EXIT_IO. */
export const KvmRunIo = new Struct("kvm_run.io")
  .UInt8("direction") // kvmIoDirection
  .UInt8("size") // 1, 2 or 4 bytes
  .UInt16LE("port")
  .UInt32LE("count") // of a string instruction, else 1
  .BigUInt64LE("data_offset") // from the start of kvm_run, bytes
  .compile();
/** `struct kvm_run`, the member `mmio`: EXIT_MMIO. */
export const KvmRunMmio = new Struct("kvm_run.mmio")
  .BigUInt64LE("phys_addr") // GPA
  .UInt8Array("data", 8)
  .UInt32LE("len") // 1 to 8 bytes
  .UInt8("is_write")
  .seek(3)
  .compile();
/** `struct kvm_run`, the member `hypercall`: EXIT_HYPERCALL. */
export const KvmRunHypercall = new Struct("kvm_run.hypercall")
  .BigUInt64LE("nr")
  .BigUInt64Array("args", 6)
  .BigUInt64LE("ret")
  .BigUInt64LE("flags")
  .seek(-8)
  .UInt32LE("longmode")
  .seek(4)
  .compile();
/** `struct kvm_run`, the member `internal`: EXIT_INTERNAL_ERROR. */
export const KvmRunInternal = new Struct("kvm_run.internal")
  .UInt32LE("suberror") // kvmInternalError
  .UInt32LE("ndata")
  .BigUInt64Array("data", 16)
  .compile();
/** `struct kvm_run`, the member `emulation_failure`: an internal error EMULATION. */
export const KvmRunEmulationFailure = new Struct("kvm_run.emulation_failure")
  .UInt32LE("suberror")
  .UInt32LE("ndata")
  .BigUInt64LE("flags") // 1: insn_* are valid
  .UInt8("insn_size")
  .UInt8Array("insn_bytes", 15)
  .compile();
/** `struct kvm_run`, the member `system_event`: EXIT_SYSTEM_EVENT. */
export const KvmRunSystemEvent = new Struct("kvm_run.system_event")
  .UInt32LE("type") // kvmSystemEvent
  .UInt32LE("ndata")
  .BigUInt64LE("flags")
  .seek(-8)
  .BigUInt64Array("data", 16)
  .compile();
/** `struct kvm_run`, the member `eoi`: EXIT_IOAPIC_EOI. */
export const KvmRunEoi = new Struct("kvm_run.eoi").UInt8("vector").compile();
/** `struct kvm_run`, the member `msr`: EXIT_X86_RDMSR and EXIT_X86_WRMSR. */
export const KvmRunMsr = new Struct("kvm_run.msr")
  .UInt8("error") // in: 1 injects #GP
  .UInt8Array("pad", 7)
  .UInt32LE("reason") // kvmMsrExitReason
  .UInt32LE("index")
  .BigUInt64LE("data")
  .compile();
/** `struct kvm_run`, the member `memory_fault`: EXIT_MEMORY_FAULT. Linux 6.8. */
export const KvmRunMemoryFault = new Struct("kvm_run.memory_fault")
  .BigUInt64LE("flags")
  .BigUInt64LE("gpa")
  .BigUInt64LE("size") // bytes
  .compile();

/**
 * `struct kvm_run`, mapped from the vCPU's file. Which member of the union counts follows from `exit_reason`. A loop that
 * runs a vCPU reads the mapped page by these offsets; it does not construct this class.
 */
export const KvmRun = new Struct("kvm_run")
  .UInt8("request_interrupt_window")
  .UInt8("immediate_exit") // volatile: another thread may set it
  .UInt8Array("padding1", 6)
  .UInt32LE("exit_reason") // kvmExitReason
  .UInt8("ready_for_interrupt_injection")
  .UInt8("if_flag")
  .UInt16LE("flags") // kvmRunFlag
  .BigUInt64LE("cr8")
  .BigUInt64LE("apic_base")
  .Struct("hw", KvmRunHw)
  .seek(-8)
  .Struct("fail_entry", KvmRunFailEntry)
  .seek(-16)
  .Struct("ex", KvmRunEx)
  .seek(-8)
  .Struct("io", KvmRunIo)
  .seek(-16)
  .Struct("mmio", KvmRunMmio)
  .seek(-24)
  .Struct("hypercall", KvmRunHypercall)
  .seek(-72)
  .Struct("internal", KvmRunInternal)
  .seek(-136)
  .Struct("emulation_failure", KvmRunEmulationFailure)
  .seek(-32)
  .Struct("system_event", KvmRunSystemEvent)
  .seek(-136)
  .Struct("eoi", KvmRunEoi)
  .seek(-1)
  .Struct("msr", KvmRunMsr)
  .seek(-24)
  .Struct("memory_fault", KvmRunMemoryFault)
  .seek(-24)
  .seek(256)
  .BigUInt64LE("kvm_valid_regs")
  .BigUInt64LE("kvm_dirty_regs")
  .UInt8Array("s", 2048) // kvm_sync_regs
  .compile();
export type KvmRun = Fields<typeof KvmRun>;

/** `KVM_EXIT_*`. */
export const kvmExitReason = constants("KVM_EXIT_", {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  NMI: 16,
  INTERNAL_ERROR: 17,
  WATCHDOG: 21,
  SYSTEM_EVENT: 24,
  IOAPIC_EOI: 26,
  HYPERV: 27,
  ARM_NISV: 28,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
  DIRTY_RING_FULL: 31,
  AP_RESET_HOLD: 32,
  X86_BUS_LOCK: 33,
  XEN: 34,
  RISCV_SBI: 35,
  RISCV_CSR: 36,
  NOTIFY: 37,
  LOONGARCH_IOCSR: 38,
  MEMORY_FAULT: 39,
});
/** `KVM_EXIT_IO_*`. */
export const kvmIoDirection = constants("KVM_EXIT_IO_", { IN: 0, OUT: 1 });
/** `KVM_RUN_X86_*`. */
export const kvmRunFlag = constants("KVM_RUN_X86_", { SMM: 1, BUS_LOCK: 2 });
/** `KVM_INTERNAL_ERROR_*`. */
export const kvmInternalError = constants("KVM_INTERNAL_ERROR_", {
  EMULATION: 1,
  SIMUL_EX: 2,
  DELIVERY_EV: 3,
  UNEXPECTED_EXIT_REASON: 4,
});
/** `KVM_SYSTEM_EVENT_*`. */
export const kvmSystemEvent = constants("KVM_SYSTEM_EVENT_", {
  SHUTDOWN: 1,
  RESET: 2,
  CRASH: 3,
  WAKEUP: 4,
  SUSPEND: 5,
  SEV_TERM: 6,
});
/** `KVM_MSR_EXIT_REASON_*`. */
export const kvmMsrExitReason = constants("KVM_MSR_EXIT_REASON_", { INVAL: 1, UNKNOWN: 2, FILTER: 4 });
/** `KVM_*_PAGE_OFFSET`: pages of the vCPU's mapping that follow kvm_run, in pages from its start. */
export const kvmRunPage = constants("KVM_", { PIO: 1, COALESCED_MMIO: 2, DIRTY_LOG: 64 }, "_PAGE_OFFSET");
