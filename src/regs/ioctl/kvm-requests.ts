// ioctl requests of linux/kvm.h. The size of the argument is part of each, so those of vCPU state are x86's.
import { constants } from "./constants.ts";
import {
  KvmArmDeviceAddr,
  KvmClockData,
  KvmCreateDevice,
  KvmDeviceAttr,
  KvmEnableCap,
} from "./kvm-device.ts";
import { KvmOneReg, KvmRegList } from "./kvm-device.ts";
import { KvmInterrupt, KvmIoeventfd, KvmIrqfd, KvmIrqLevel, KvmIrqRouting, KvmMsi } from "./kvm-interrupt.ts";
import { KvmIrqchip, KvmLapicState, KvmPitConfig, KvmPitState2 } from "./kvm-irqchip.ts";
import { KvmClearDirtyLog, KvmCoalescedMmioZone, KvmCreateGuestMemfd, KvmDirtyLog } from "./kvm-memory.ts";
import { KvmMemoryAttributes, KvmUserspaceMemoryRegion, KvmUserspaceMemoryRegion2 } from "./kvm-memory.ts";
import { KvmDebugregs, KvmFpu, KvmRegs, KvmSregs, KvmXcrs, KvmXsave } from "./kvm-registers.ts";
import { KvmCpuid2, KvmMpState, KvmMsrList, KvmMsrs, KvmSignalMask, KvmVcpuEvents } from "./kvm-vcpu.ts";
import { io, ior, iow, iowr } from "./request.ts";

/** `KVMIO`. */
const KVMIO = 0xae;
/** An argument that is a `__u64`, in bytes. */
const U64 = 8;

interface Sized {
  readonly baseSize: number;
}
const none = (number: number): number => io(KVMIO, number);
const out = (number: number, argument: Sized): number => ior(KVMIO, number, argument.baseSize);
const into = (number: number, argument: Sized): number => iow(KVMIO, number, argument.baseSize);
const both = (number: number, argument: Sized): number => iowr(KVMIO, number, argument.baseSize);

/** `KVM_*` requests on /dev/kvm. */
export const kvmSystemRequest = constants("KVM_", {
  GET_API_VERSION: none(0x00),
  CREATE_VM: none(0x01),
  GET_MSR_INDEX_LIST: both(0x02, KvmMsrList),
  CHECK_EXTENSION: none(0x03), // on a VM too
  GET_VCPU_MMAP_SIZE: none(0x04),
  GET_SUPPORTED_CPUID: both(0x05, KvmCpuid2),
  GET_MSR_FEATURE_INDEX_LIST: both(0x0a, KvmMsrList),
});

/** `KVM_*` requests on a virtual machine. */
export const kvmVmRequest = constants("KVM_", {
  CREATE_VCPU: none(0x41),
  GET_DIRTY_LOG: into(0x42, KvmDirtyLog),
  SET_USER_MEMORY_REGION: into(0x46, KvmUserspaceMemoryRegion),
  SET_TSS_ADDR: none(0x47),
  SET_IDENTITY_MAP_ADDR: iow(KVMIO, 0x48, U64),
  SET_USER_MEMORY_REGION2: into(0x49, KvmUserspaceMemoryRegion2),
  CREATE_IRQCHIP: none(0x60),
  IRQ_LINE: into(0x61, KvmIrqLevel),
  GET_IRQCHIP: both(0x62, KvmIrqchip),
  SET_IRQCHIP: out(0x63, KvmIrqchip), // the kernel has the direction wrong, for good
  IRQ_LINE_STATUS: both(0x67, KvmIrqLevel),
  REGISTER_COALESCED_MMIO: into(0x67, KvmCoalescedMmioZone),
  UNREGISTER_COALESCED_MMIO: into(0x68, KvmCoalescedMmioZone),
  SET_GSI_ROUTING: into(0x6a, KvmIrqRouting),
  IRQFD: into(0x76, KvmIrqfd),
  CREATE_PIT2: into(0x77, KvmPitConfig),
  SET_BOOT_CPU_ID: none(0x78),
  IOEVENTFD: into(0x79, KvmIoeventfd),
  SET_CLOCK: into(0x7b, KvmClockData),
  GET_CLOCK: out(0x7c, KvmClockData),
  GET_PIT2: out(0x9f, KvmPitState2),
  SET_PIT2: into(0xa0, KvmPitState2),
  SIGNAL_MSI: into(0xa5, KvmMsi),
  ARM_SET_DEVICE_ADDR: into(0xab, KvmArmDeviceAddr),
  CLEAR_DIRTY_LOG: both(0xc0, KvmClearDirtyLog),
  RESET_DIRTY_RINGS: none(0xc7),
  SET_MEMORY_ATTRIBUTES: into(0xd2, KvmMemoryAttributes),
  CREATE_GUEST_MEMFD: both(0xd4, KvmCreateGuestMemfd),
  CREATE_DEVICE: both(0xe0, KvmCreateDevice),
});

/** `KVM_*` requests on a device (SET, GET and HAS_DEVICE_ATTR on a VM or vCPU too). */
export const kvmDeviceRequest = constants("KVM_", {
  SET_DEVICE_ATTR: into(0xe1, KvmDeviceAttr),
  GET_DEVICE_ATTR: into(0xe2, KvmDeviceAttr),
  HAS_DEVICE_ATTR: into(0xe3, KvmDeviceAttr),
});

/** `KVM_*` requests on a vCPU. */
export const kvmVcpuRequest = constants("KVM_", {
  RUN: none(0x80),
  GET_REGS: out(0x81, KvmRegs),
  SET_REGS: into(0x82, KvmRegs),
  GET_SREGS: out(0x83, KvmSregs),
  SET_SREGS: into(0x84, KvmSregs),
  INTERRUPT: into(0x86, KvmInterrupt),
  GET_MSRS: both(0x88, KvmMsrs),
  SET_MSRS: into(0x89, KvmMsrs),
  SET_SIGNAL_MASK: into(0x8b, KvmSignalMask),
  GET_FPU: out(0x8c, KvmFpu),
  SET_FPU: into(0x8d, KvmFpu),
  GET_LAPIC: out(0x8e, KvmLapicState),
  SET_LAPIC: into(0x8f, KvmLapicState),
  SET_CPUID2: into(0x90, KvmCpuid2),
  GET_CPUID2: both(0x91, KvmCpuid2),
  GET_MP_STATE: out(0x98, KvmMpState),
  SET_MP_STATE: into(0x99, KvmMpState),
  NMI: none(0x9a),
  GET_VCPU_EVENTS: out(0x9f, KvmVcpuEvents),
  SET_VCPU_EVENTS: into(0xa0, KvmVcpuEvents),
  GET_DEBUGREGS: out(0xa1, KvmDebugregs),
  SET_DEBUGREGS: into(0xa2, KvmDebugregs),
  SET_TSC_KHZ: none(0xa2), // on a VM too
  GET_TSC_KHZ: none(0xa3), // on a VM too
  ENABLE_CAP: into(0xa3, KvmEnableCap), // on a VM too
  GET_XSAVE: out(0xa4, KvmXsave),
  SET_XSAVE: into(0xa5, KvmXsave),
  GET_XCRS: out(0xa6, KvmXcrs),
  SET_XCRS: into(0xa7, KvmXcrs),
  GET_ONE_REG: into(0xab, KvmOneReg),
  SET_ONE_REG: into(0xac, KvmOneReg),
  KVMCLOCK_CTRL: none(0xad),
  GET_REG_LIST: both(0xb0, KvmRegList),
  SMI: none(0xb7),
  GET_XSAVE2: out(0xcf, KvmXsave),
});
