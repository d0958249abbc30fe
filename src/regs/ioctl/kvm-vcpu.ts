// linux/kvm.h and asm/kvm.h of x86: CPUID, MSRs and the further state of a vCPU.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_cpuid_entry2`. */
export const KvmCpuidEntry2 = new Struct("kvm_cpuid_entry2")
  .UInt32LE("function") // EAX of the leaf
  .UInt32LE("index") // ECX of the leaf, where it counts
  .UInt32LE("flags") // kvmCpuidFlag
  .UInt32LE("eax")
  .UInt32LE("ebx")
  .UInt32LE("ecx")
  .UInt32LE("edx")
  .UInt32Array("padding", 3)
  .compile();
export type KvmCpuidEntry2 = Fields<typeof KvmCpuidEntry2>;

/** `KVM_CPUID_FLAG_*`, in the kernel's spelling. */
export const kvmCpuidFlag = constants("KVM_CPUID_FLAG_", {
  SIGNIFCANT_INDEX: 1,
  STATEFUL_FUNC: 2,
  STATE_READ_NEXT: 4,
});

/** `struct kvm_cpuid2`, of GET_SUPPORTED_CPUID and SET_CPUID2. Tail: 40 bytes an entry. */
export const KvmCpuid2 = new Struct("kvm_cpuid2")
  .UInt32LE("nent") // in: room (E2BIG when too little); out: entries
  .UInt32LE("padding")
  .StructArray("entries", KvmCpuidEntry2)
  .compile();
export type KvmCpuid2 = Fields<typeof KvmCpuid2>;

/** `struct kvm_msr_entry`. */
export const KvmMsrEntry = new Struct("kvm_msr_entry")
  .UInt32LE("index")
  .UInt32LE("reserved")
  .BigUInt64LE("data")
  .compile();
export type KvmMsrEntry = Fields<typeof KvmMsrEntry>;

/** `struct kvm_msrs`, of GET_MSRS and SET_MSRS, which return how many they did. Tail: 16 bytes an entry. */
export const KvmMsrs = new Struct("kvm_msrs")
  .UInt32LE("nmsrs")
  .UInt32LE("pad")
  .StructArray("entries", KvmMsrEntry)
  .compile();
export type KvmMsrs = Fields<typeof KvmMsrs>;

/** `struct kvm_msr_list`, of GET_MSR_INDEX_LIST. Tail: 4 bytes an index. */
export const KvmMsrList = new Struct("kvm_msr_list").UInt32LE("nmsrs").UInt32Array("indices").compile();
export type KvmMsrList = Fields<typeof KvmMsrList>;

/** `struct kvm_mp_state`, of GET_MP_STATE and SET_MP_STATE. */
export const KvmMpState = new Struct("kvm_mp_state")
  .UInt32LE("mp_state") // kvmMpState
  .compile();
export type KvmMpState = Fields<typeof KvmMpState>;

/** `KVM_MP_STATE_*`. */
export const kvmMpState = constants("KVM_MP_STATE_", {
  RUNNABLE: 0,
  UNINITIALIZED: 1,
  INIT_RECEIVED: 2,
  HALTED: 3,
  SIPI_RECEIVED: 4,
  STOPPED: 5,
  CHECK_STOP: 6,
  OPERATING: 7,
  LOAD: 8,
  AP_RESET_HOLD: 9,
  SUSPENDED: 10,
});

/** `struct kvm_vcpu_events`, the member `exception`. */
export const KvmVcpuEventsException = new Struct("kvm_vcpu_events.exception")
  .UInt8("injected")
  .UInt8("nr") // the vector
  .UInt8("has_error_code")
  .UInt8("pending")
  .UInt32LE("error_code")
  .compile();
/** `struct kvm_vcpu_events`, the member `interrupt`. */
export const KvmVcpuEventsInterrupt = new Struct("kvm_vcpu_events.interrupt")
  .UInt8("injected")
  .UInt8("nr") // the vector
  .UInt8("soft")
  .UInt8("shadow")
  .compile();
/** `struct kvm_vcpu_events`, the member `nmi`. */
export const KvmVcpuEventsNmi = new Struct("kvm_vcpu_events.nmi")
  .UInt8("injected")
  .UInt8("pending")
  .UInt8("masked")
  .UInt8("pad")
  .compile();
/** `struct kvm_vcpu_events`, the member `smi`. */
export const KvmVcpuEventsSmi = new Struct("kvm_vcpu_events.smi")
  .UInt8("smm")
  .UInt8("pending")
  .UInt8("smm_inside_nmi")
  .UInt8("latched_init")
  .compile();
/** `struct kvm_vcpu_events`, the member `triple_fault`. */
export const KvmVcpuEventsTripleFault = new Struct("kvm_vcpu_events.triple_fault").UInt8("pending").compile();

/** `struct kvm_vcpu_events`, of GET_VCPU_EVENTS and SET_VCPU_EVENTS. */
export const KvmVcpuEvents = new Struct("kvm_vcpu_events")
  .Struct("exception", KvmVcpuEventsException)
  .Struct("interrupt", KvmVcpuEventsInterrupt)
  .Struct("nmi", KvmVcpuEventsNmi)
  .UInt32LE("sipi_vector")
  .UInt32LE("flags") // kvmVcpuEventFlag
  .Struct("smi", KvmVcpuEventsSmi)
  .Struct("triple_fault", KvmVcpuEventsTripleFault)
  .UInt8Array("reserved", 26)
  .UInt8("exception_has_payload")
  .BigUInt64LE("exception_payload")
  .compile();
export type KvmVcpuEvents = Fields<typeof KvmVcpuEvents>;

/** `KVM_VCPUEVENT_VALID_*`. */
export const kvmVcpuEventFlag = constants("KVM_VCPUEVENT_VALID_", {
  NMI_PENDING: 0x1,
  SIPI_VECTOR: 0x2,
  SHADOW: 0x4,
  SMM: 0x8,
  PAYLOAD: 0x10,
  TRIPLE_FAULT: 0x20,
});

/** `struct kvm_signal_mask`, of SET_SIGNAL_MASK. Tail: `len` bytes, which the kernel wants to be 8. */
export const KvmSignalMask = new Struct("kvm_signal_mask").UInt32LE("len").UInt8Array("sigset").compile();
export type KvmSignalMask = Fields<typeof KvmSignalMask>;
