// linux/kvm.h: GSI routing, irqfds, ioeventfds and injection.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_irq_routing_irqchip`: a pin of an interrupt chip. */
export const KvmIrqRoutingIrqchip = new Struct("kvm_irq_routing_irqchip")
  .UInt32LE("irqchip") // kvmIrqchipId
  .UInt32LE("pin")
  .compile();
export type KvmIrqRoutingIrqchip = Fields<typeof KvmIrqRoutingIrqchip>;

/** `struct kvm_irq_routing_msi`: a message. */
export const KvmIrqRoutingMsi = new Struct("kvm_irq_routing_msi")
  .UInt32LE("address_lo")
  .UInt32LE("address_hi")
  .UInt32LE("data")
  .UInt32LE(["devid", "pad"]) // with MSI_VALID_DEVID in the entry's flags
  .compile();
export type KvmIrqRoutingMsi = Fields<typeof KvmIrqRoutingMsi>;

/** `struct kvm_irq_routing_s390_adapter`. */
export const KvmIrqRoutingS390Adapter = new Struct("kvm_irq_routing_s390_adapter")
  .BigUInt64LE("ind_addr")
  .BigUInt64LE("summary_addr")
  .BigUInt64LE("ind_offset")
  .UInt32LE("summary_offset")
  .UInt32LE("adapter_id")
  .compile();
export type KvmIrqRoutingS390Adapter = Fields<typeof KvmIrqRoutingS390Adapter>;

/** `struct kvm_irq_routing_hv_sint`. */
export const KvmIrqRoutingHvSint = new Struct("kvm_irq_routing_hv_sint")
  .UInt32LE("vcpu")
  .UInt32LE("sint")
  .compile();
export type KvmIrqRoutingHvSint = Fields<typeof KvmIrqRoutingHvSint>;

/** `struct kvm_irq_routing_xen_evtchn`. */
export const KvmIrqRoutingXenEvtchn = new Struct("kvm_irq_routing_xen_evtchn")
  .UInt32LE("port")
  .UInt32LE("vcpu")
  .UInt32LE("priority")
  .compile();
export type KvmIrqRoutingXenEvtchn = Fields<typeof KvmIrqRoutingXenEvtchn>;

/** The union `u` of `struct kvm_irq_routing_entry`. */
export const KvmIrqRoutingEntryUnion = new Struct("kvm_irq_routing_entry.u")
  .Struct("irqchip", KvmIrqRoutingIrqchip)
  .seek(-8)
  .Struct("msi", KvmIrqRoutingMsi)
  .seek(-16)
  .Struct("adapter", KvmIrqRoutingS390Adapter)
  .seek(-32)
  .Struct("hv_sint", KvmIrqRoutingHvSint)
  .seek(-8)
  .Struct("xen_evtchn", KvmIrqRoutingXenEvtchn)
  .seek(-12)
  .UInt32Array("pad", 8)
  .compile();
export type KvmIrqRoutingEntryUnion = Fields<typeof KvmIrqRoutingEntryUnion>;

/** `struct kvm_irq_routing_entry`. */
export const KvmIrqRoutingEntry = new Struct("kvm_irq_routing_entry")
  .UInt32LE("gsi")
  .UInt32LE("type") // kvmIrqRoutingType
  .UInt32LE("flags") // kvmMsiFlag, for MSI
  .UInt32LE("pad")
  .Struct("u", KvmIrqRoutingEntryUnion)
  .compile();
export type KvmIrqRoutingEntry = Fields<typeof KvmIrqRoutingEntry>;

/** `struct kvm_irq_routing`, of SET_GSI_ROUTING: replaces the whole table. Tail: 48 bytes an entry. */
export const KvmIrqRouting = new Struct("kvm_irq_routing")
  .UInt32LE("nr") // entries
  .UInt32LE("flags") // 0
  .StructArray("entries", KvmIrqRoutingEntry)
  .compile();
export type KvmIrqRouting = Fields<typeof KvmIrqRouting>;

/** `KVM_IRQ_ROUTING_*`. */
export const kvmIrqRoutingType = constants("KVM_IRQ_ROUTING_", {
  IRQCHIP: 1,
  MSI: 2,
  S390_ADAPTER: 3,
  HV_SINT: 4,
  XEN_EVTCHN: 5,
});

/** `struct kvm_irqfd`, of IRQFD. */
export const KvmIrqfd = new Struct("kvm_irqfd")
  .UInt32LE("fd") // an eventfd
  .UInt32LE("gsi")
  .UInt32LE("flags") // kvmIrqfdFlag
  .UInt32LE("resamplefd") // an eventfd, with RESAMPLE
  .UInt8Array("pad", 16)
  .compile();
export type KvmIrqfd = Fields<typeof KvmIrqfd>;

/** `KVM_IRQFD_FLAG_*`. */
export const kvmIrqfdFlag = constants("KVM_IRQFD_FLAG_", { DEASSIGN: 1, RESAMPLE: 2 });

/** `struct kvm_ioeventfd`, of IOEVENTFD: a guest write that signals instead of exiting. */
export const KvmIoeventfd = new Struct("kvm_ioeventfd")
  .BigUInt64LE("datamatch")
  .BigUInt64LE("addr") // GPA, or a port
  .UInt32LE("len") // 0 (any), 1, 2, 4 or 8 bytes
  .Int32LE("fd")
  .UInt32LE("flags") // kvmIoeventfdFlag
  .UInt8Array("pad", 36)
  .compile();
export type KvmIoeventfd = Fields<typeof KvmIoeventfd>;

/** `KVM_IOEVENTFD_FLAG_*`. */
export const kvmIoeventfdFlag = constants("KVM_IOEVENTFD_FLAG_", {
  DATAMATCH: 1,
  PIO: 2,
  DEASSIGN: 4,
  VIRTIO_CCW_NOTIFY: 8,
});

/** `struct kvm_msi`, of SIGNAL_MSI. */
export const KvmMsi = new Struct("kvm_msi")
  .UInt32LE("address_lo")
  .UInt32LE("address_hi")
  .UInt32LE("data")
  .UInt32LE("flags") // kvmMsiFlag
  .UInt32LE("devid")
  .UInt8Array("pad", 12)
  .compile();
export type KvmMsi = Fields<typeof KvmMsi>;

/** `KVM_MSI_*`. */
export const kvmMsiFlag = constants("KVM_MSI_", { VALID_DEVID: 1 });

/** `struct kvm_irq_level`, of IRQ_LINE and IRQ_LINE_STATUS. */
export const KvmIrqLevel = new Struct("kvm_irq_level")
  .UInt32LE("irq") // a GSI
  .seek(-4)
  .Int32LE("status") // out, of IRQ_LINE_STATUS
  .UInt32LE("level") // 0 or 1
  .compile();
export type KvmIrqLevel = Fields<typeof KvmIrqLevel>;

/** `struct kvm_interrupt`, of INTERRUPT: a vector, where the VMM has its own interrupt controller. */
export const KvmInterrupt = new Struct("kvm_interrupt").UInt32LE("irq").compile();
export type KvmInterrupt = Fields<typeof KvmInterrupt>;
