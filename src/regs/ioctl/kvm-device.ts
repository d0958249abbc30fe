// linux/kvm.h: in-kernel devices, capabilities and registers by number.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_create_device`, of CREATE_DEVICE. */
export const KvmCreateDevice = new Struct("kvm_create_device")
  .UInt32LE("type") // kvmDeviceType
  .UInt32LE("fd") // out
  .UInt32LE("flags") // kvmCreateDeviceFlag
  .compile();
export type KvmCreateDevice = Fields<typeof KvmCreateDevice>;

/** `KVM_CREATE_DEVICE_*`: only ask if it could be created. */
export const kvmCreateDeviceFlag = constants("KVM_CREATE_DEVICE_", { TEST: 1 });

/** `KVM_DEV_TYPE_*`: `enum kvm_device_type`. */
export const kvmDeviceType = constants("KVM_DEV_TYPE_", {
  FSL_MPIC_20: 1,
  FSL_MPIC_42: 2,
  XICS: 3,
  VFIO: 4,
  ARM_VGIC_V2: 5,
  FLIC: 6,
  ARM_VGIC_V3: 7,
  ARM_VGIC_ITS: 8,
  XIVE: 9,
  ARM_PV_TIME: 10,
  RISCV_AIA: 11,
});

/** `struct kvm_device_attr`, of SET_, GET_ and HAS_DEVICE_ATTR. */
export const KvmDeviceAttr = new Struct("kvm_device_attr")
  .UInt32LE("flags") // 0
  .UInt32LE("group")
  .BigUInt64LE("attr")
  .BigUInt64LE("addr") // of the attribute's data
  .compile();
export type KvmDeviceAttr = Fields<typeof KvmDeviceAttr>;

/** `KVM_DEV_VFIO_*`: the VFIO device's one group FILE, and its attributes. Before 6.6 named GROUP, GROUP_ADD, GROUP_DEL. */
export const kvmDeviceVfio = constants("KVM_DEV_VFIO_", { FILE: 1, FILE_ADD: 1, FILE_DEL: 2 });

/** `struct kvm_enable_cap`, of ENABLE_CAP. */
export const KvmEnableCap = new Struct("kvm_enable_cap")
  .UInt32LE("cap") // kvmCapability
  .UInt32LE("flags") // 0
  .BigUInt64Array("args", 4)
  .UInt8Array("pad", 64)
  .compile();
export type KvmEnableCap = Fields<typeof KvmEnableCap>;

/** `struct kvm_one_reg`, of GET_ONE_REG and SET_ONE_REG. */
export const KvmOneReg = new Struct("kvm_one_reg")
  .BigUInt64LE("id") // kvmRegister* | the register's number
  .BigUInt64LE("addr") // of its value
  .compile();
export type KvmOneReg = Fields<typeof KvmOneReg>;

/** `struct kvm_reg_list`, of GET_REG_LIST. Tail: 8 bytes a register. */
export const KvmRegList = new Struct("kvm_reg_list").BigUInt64LE("n").BigUInt64Array("reg").compile();
export type KvmRegList = Fields<typeof KvmRegList>;

/** `KVM_REG_*`: the architecture of a register's id. */
export const kvmRegisterArch = constants("KVM_REG_", {
  ARCH_MASK: 0xff00_0000_0000_0000n,
  X86: 0x2000_0000_0000_0000n,
  ARM64: 0x6000_0000_0000_0000n,
  RISCV: 0x8000_0000_0000_0000n,
});
/** `KVM_REG_SIZE_*`: the size of a register, in its id. */
export const kvmRegisterSize = constants("KVM_REG_SIZE_", {
  MASK: 0x00f0_0000_0000_0000n,
  U8: 0x0000_0000_0000_0000n,
  U16: 0x0010_0000_0000_0000n,
  U32: 0x0020_0000_0000_0000n,
  U64: 0x0030_0000_0000_0000n,
  U128: 0x0040_0000_0000_0000n,
});

/** `struct kvm_arm_device_addr`, of ARM_SET_DEVICE_ADDR. */
export const KvmArmDeviceAddr = new Struct("kvm_arm_device_addr")
  .BigUInt64LE("id")
  .BigUInt64LE("addr")
  .compile();
export type KvmArmDeviceAddr = Fields<typeof KvmArmDeviceAddr>;

/** `struct kvm_clock_data`, of GET_CLOCK and SET_CLOCK. */
export const KvmClockData = new Struct("kvm_clock_data")
  .BigUInt64LE("clock") // ns
  .UInt32LE("flags") // kvmClockFlag
  .UInt32LE("pad0")
  .BigUInt64LE("realtime") // ns
  .BigUInt64LE("host_tsc")
  .UInt32Array("pad", 4)
  .compile();
export type KvmClockData = Fields<typeof KvmClockData>;

/** `KVM_CLOCK_*`. */
export const kvmClockFlag = constants("KVM_CLOCK_", { TSC_STABLE: 2, REALTIME: 4, HOST_TSC: 8 });
