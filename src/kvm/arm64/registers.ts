// The general registers of an Arm vCPU by their ids (Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG).
import { getOneReg, setOneReg } from "../../ffi/kvm-vcpu.ts";

/** KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE; below it the offset in `struct kvm_regs`, in words of 32 bits. */
const core = 0x6030_0000_0010_0000n;

/** A general register: `x0` to `x30`, `sp`, `pc`, `pstate`. */
export type CoreRegister = `x${number}` | "sp" | "pc" | "pstate";

function idOf(name: CoreRegister): bigint {
  const named = { sp: 31, pc: 32, pstate: 33 };
  const index = name in named ? named[name as keyof typeof named] : Number(name.slice(1));
  if (!Number.isInteger(index) || index < 0 || index > 33 || (name.startsWith("x") && index > 30))
    throw new RangeError(`there is no register ${name}`);
  return core | BigInt(2 * index);
}

/** @param vcpu descriptor of the vCPU @throws VfioError; RangeError for another register */
export function getCoreRegister(vcpu: number, name: CoreRegister): bigint {
  const bytes = getOneReg(vcpu, idOf(name), 8, { device: name });
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

/** @param vcpu descriptor of the vCPU @throws VfioError; RangeError for another register */
export function setCoreRegister(vcpu: number, name: CoreRegister, value: bigint): void {
  setOneReg(vcpu, idOf(name), new Uint8Array(new BigUint64Array([value]).buffer), { device: name });
}
