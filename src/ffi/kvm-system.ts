// Requests on /dev/kvm (linux/kvm.h).
import { kvmCapability } from "../regs/ioctl/kvm-capability.ts";
import { kvmSystemRequest } from "../regs/ioctl/kvm-requests.ts";
import { KvmMsrList } from "../regs/ioctl/kvm-vcpu.ts";
import { checked, uint32 } from "../regs/ioctl/integer.ts";
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";
import { VfioError } from "./errors.ts";
import { decodeCpuid, emptyCpuid, type CpuidEntry } from "./kvm-cpuid.ts";

/** A capability by its name: `IRQFD_RESAMPLE`. */
export type KvmCapability = keyof typeof kvmCapability;

/** KVM_GET_API_VERSION: 12 since Linux 2.6.22. */
export const getKvmApiVersion = (kvm: number, context: IoctlContext = {}): number =>
  ioctl(kvm, kvmSystemRequest.GET_API_VERSION, 0, { ...context, request: "KVM_GET_API_VERSION" });

const interrupted = "EINTR";
const attempts = 100;

/**
 * KVM_CREATE_VM. A signal that comes meanwhile (JavaScript's collector sends some) ends the request: it is made again.
 * @param type 0 for the machine's ordinary kind
 * @returns a descriptor that the caller closes
 */
export function createVm(kvm: number, type = 0, context: IoctlContext = {}): number {
  for (let attempt = 1; ; attempt++)
    try {
      return ioctl(kvm, kvmSystemRequest.CREATE_VM, checked(type, uint32("a machine type")), {
        ...context,
        request: `KVM_CREATE_VM ${type}`,
      });
    } catch (error) {
      if (!(error instanceof VfioError) || error.code !== interrupted || attempt === attempts) throw error;
    }
}

/**
 * KVM_CHECK_EXTENSION. @param fd of /dev/kvm or of a virtual machine, which may say otherwise
 * @returns 0 where KVM has it not; else 1, or what the capability counts
 */
export const checkKvmExtension = (fd: number, name: KvmCapability, context: IoctlContext = {}): number =>
  ioctl(fd, kvmSystemRequest.CHECK_EXTENSION, kvmCapability[name], {
    ...context,
    request: `KVM_CHECK_EXTENSION ${name}`,
  });

/** KVM_GET_VCPU_MMAP_SIZE: bytes that each vCPU shares with its VMM. */
export const getVcpuMmapSize = (kvm: number, context: IoctlContext = {}): number =>
  ioctl(kvm, kvmSystemRequest.GET_VCPU_MMAP_SIZE, 0, { ...context, request: "KVM_GET_VCPU_MMAP_SIZE" });

/** KVM_GET_SUPPORTED_CPUID (x86): what KVM can give a guest on this host. */
export function getSupportedCpuid(kvm: number, context: IoctlContext = {}): CpuidEntry[] {
  const list = emptyCpuid();
  ioctl(kvm, kvmSystemRequest.GET_SUPPORTED_CPUID, list, { ...context, request: "KVM_GET_SUPPORTED_CPUID" });
  return decodeCpuid(list);
}

/** More than any kernel has. */
const maxMsrs = 4096;

/** KVM_GET_MSR_INDEX_LIST (x86): the MSRs that are part of a vCPU's state. */
export function getMsrIndexList(kvm: number, context: IoctlContext = {}): number[] {
  const list = create(KvmMsrList, 4 * maxMsrs);
  list.nmsrs = maxMsrs;
  ioctl(kvm, kvmSystemRequest.GET_MSR_INDEX_LIST, bytesOf(list), {
    ...context,
    request: "KVM_GET_MSR_INDEX_LIST",
  });
  return Array.from(list.indices).slice(0, list.nmsrs);
}
