// asm/kvm.h of aarch64: what a vCPU is made as, and the interrupt controller. Apart from the other declarations, since x86's headers
// have none of it.
import { constants } from "./constants.ts";
import { ior, iow } from "./request.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_vcpu_init`, of ARM_VCPU_INIT and ARM_PREFERRED_TARGET. */
export const KvmVcpuInit = new Struct("kvm_vcpu_init")
  .UInt32LE("target")
  .UInt32Array("features", 7) // bits by kvmArmVcpuFeature
  .compile();
export type KvmVcpuInit = Fields<typeof KvmVcpuInit>;

/** `KVM_ARM_*` requests: ARM_VCPU_INIT on a vCPU, ARM_PREFERRED_TARGET on a virtual machine. */
export const kvmArmRequest = constants("KVM_ARM_", {
  VCPU_INIT: iow(0xae, 0xae, KvmVcpuInit.baseSize),
  PREFERRED_TARGET: ior(0xae, 0xaf, KvmVcpuInit.baseSize),
});

/** `KVM_ARM_VCPU_*`: bits of the features. */
export const kvmArmVcpuFeature = constants("KVM_ARM_VCPU_", {
  POWER_OFF: 0, // it waits for another to turn it on, by PSCI
  EL1_32BIT: 1,
  PSCI_0_2: 2,
  PMU_V3: 3,
});

/** `KVM_DEV_ARM_VGIC_GRP_*`: groups of attributes of the interrupt controller and the ITS. */
export const kvmVgicGroup = constants("KVM_DEV_ARM_VGIC_GRP_", { ADDR: 0, NR_IRQS: 3, CTRL: 4 });

/** `KVM_DEV_ARM_VGIC_CTRL_*`: attributes of CTRL. */
export const kvmVgicControl = constants("KVM_DEV_ARM_VGIC_CTRL_", { INIT: 0 });

/** `KVM_VGIC_*_ADDR_TYPE*`: attributes of ADDR, whose values are guest physical addresses. */
export const kvmVgicAddress = constants("KVM_VGIC_", {
  V3_ADDR_TYPE_DIST: 2,
  V3_ADDR_TYPE_REDIST: 3,
  ITS_ADDR_TYPE: 4,
});

/** `KVM_ARM_IRQ_TYPE_*`: of a line, in bits 24 to 27 of what IRQ_LINE takes; the number is in the lower 16. */
export const kvmArmIrqType = constants("KVM_ARM_IRQ_TYPE_", { CPU: 0, SPI: 1, PPI: 2 });
