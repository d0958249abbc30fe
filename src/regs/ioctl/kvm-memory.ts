// linux/kvm.h: guest memory.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_userspace_memory_region`, of SET_USER_MEMORY_REGION: one memory slot. */
export const KvmUserspaceMemoryRegion = new Struct("kvm_userspace_memory_region")
  .UInt32LE("slot") // 15:0 the slot, 31:16 the address space
  .UInt32LE("flags") // kvmMemoryFlag
  .BigUInt64LE("guest_phys_addr") // GPA
  .BigUInt64LE("memory_size") // bytes; 0 deletes
  .BigUInt64LE("userspace_addr") // HVA
  .compile();
export type KvmUserspaceMemoryRegion = Fields<typeof KvmUserspaceMemoryRegion>;

/** `struct kvm_userspace_memory_region2`, of SET_USER_MEMORY_REGION2. Linux 6.8. */
export const KvmUserspaceMemoryRegion2 = new Struct("kvm_userspace_memory_region2")
  .UInt32LE("slot")
  .UInt32LE("flags") // kvmMemoryFlag
  .BigUInt64LE("guest_phys_addr") // GPA
  .BigUInt64LE("memory_size") // bytes
  .BigUInt64LE("userspace_addr") // HVA
  .BigUInt64LE("guest_memfd_offset") // bytes
  .UInt32LE("guest_memfd")
  .UInt32LE("pad1")
  .BigUInt64Array("pad2", 14)
  .compile();
export type KvmUserspaceMemoryRegion2 = Fields<typeof KvmUserspaceMemoryRegion2>;

/** `KVM_MEM_*`. */
export const kvmMemoryFlag = constants("KVM_MEM_", { LOG_DIRTY_PAGES: 1, READONLY: 2, GUEST_MEMFD: 4 });

/** `struct kvm_dirty_log`, of GET_DIRTY_LOG. */
export const KvmDirtyLog = new Struct("kvm_dirty_log")
  .UInt32LE("slot")
  .UInt32LE("padding1")
  .BigUInt64LE(["dirty_bitmap", "padding2"]) // address; a bit a page, rounded up to 64 bits
  .compile();
export type KvmDirtyLog = Fields<typeof KvmDirtyLog>;

/** `struct kvm_clear_dirty_log`, of CLEAR_DIRTY_LOG. */
export const KvmClearDirtyLog = new Struct("kvm_clear_dirty_log")
  .UInt32LE("slot")
  .UInt32LE("num_pages")
  .BigUInt64LE("first_page")
  .BigUInt64LE(["dirty_bitmap", "padding2"])
  .compile();
export type KvmClearDirtyLog = Fields<typeof KvmClearDirtyLog>;

/** `struct kvm_memory_attributes`, of SET_MEMORY_ATTRIBUTES. Linux 6.8. */
export const KvmMemoryAttributes = new Struct("kvm_memory_attributes")
  .BigUInt64LE("address") // GPA
  .BigUInt64LE("size") // bytes
  .BigUInt64LE("attributes") // kvmMemoryAttribute
  .BigUInt64LE("flags") // 0
  .compile();
export type KvmMemoryAttributes = Fields<typeof KvmMemoryAttributes>;

/** `KVM_MEMORY_ATTRIBUTE_*`. */
export const kvmMemoryAttribute = constants("KVM_MEMORY_ATTRIBUTE_", { PRIVATE: 8 });

/** `struct kvm_create_guest_memfd`, of CREATE_GUEST_MEMFD. Linux 6.8. */
export const KvmCreateGuestMemfd = new Struct("kvm_create_guest_memfd")
  .BigUInt64LE("size") // bytes
  .BigUInt64LE("flags")
  .BigUInt64Array("reserved", 6)
  .compile();
export type KvmCreateGuestMemfd = Fields<typeof KvmCreateGuestMemfd>;

/** `struct kvm_coalesced_mmio_zone`, of REGISTER_COALESCED_MMIO: writes that need no exit each. */
export const KvmCoalescedMmioZone = new Struct("kvm_coalesced_mmio_zone")
  .BigUInt64LE("addr") // GPA, or a port
  .UInt32LE("size") // bytes
  .UInt32LE(["pio", "pad"]) // 1: ports
  .compile();
export type KvmCoalescedMmioZone = Fields<typeof KvmCoalescedMmioZone>;
