// Requests of KVM that aarch64 alone has (asm/kvm.h): the kind of a vCPU.
import { KvmVcpuInit, kvmArmRequest, kvmArmVcpuFeature } from "../regs/ioctl/kvm-arm64.ts";
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";

/** A feature of a vCPU by its name: `PSCI_0_2`. */
export type ArmVcpuFeature = keyof typeof kvmArmVcpuFeature;

/**
 * KVM_ARM_PREFERRED_TARGET and KVM_ARM_VCPU_INIT: a CPU of the kind that the host's is, as after a reset. Before that a vCPU does not run.
 * @param vm its machine @param features what it has besides
 */
export function initArmVcpu(
  vm: number,
  vcpu: number,
  features: readonly ArmVcpuFeature[],
  context: IoctlContext = {},
): void {
  const init = create(KvmVcpuInit);
  ioctl(vm, kvmArmRequest.PREFERRED_TARGET, bytesOf(init), {
    ...context,
    request: "KVM_ARM_PREFERRED_TARGET",
  });
  let bits = init.features[0]!;
  for (const name of features) bits |= 1 << kvmArmVcpuFeature[name];
  init.features[0] = bits >>> 0;
  ioctl(vcpu, kvmArmRequest.VCPU_INIT, bytesOf(init), {
    ...context,
    request: `KVM_ARM_VCPU_INIT ${features.join("+")}`,
  });
}
