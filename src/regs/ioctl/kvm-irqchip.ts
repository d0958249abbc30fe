// asm/kvm.h of x86: the interrupt chips and the timer that KVM emulates.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_pic_state`: one 8259A. */
export const KvmPicState = new Struct("kvm_pic_state")
  .UInt8("last_irr")
  .UInt8("irr")
  .UInt8("imr")
  .UInt8("isr")
  .UInt8("priority_add")
  .UInt8("irq_base")
  .UInt8("read_reg_select")
  .UInt8("poll")
  .UInt8("special_mask")
  .UInt8("init_state")
  .UInt8("auto_eoi")
  .UInt8("rotate_on_auto_eoi")
  .UInt8("special_fully_nested_mode")
  .UInt8("init4")
  .UInt8("elcr")
  .UInt8("elcr_mask")
  .compile();
export type KvmPicState = Fields<typeof KvmPicState>;

/**
 * `struct kvm_ioapic_state`. A redirection entry is 64 bits as in the chip: vector 7:0, delivery mode 10:8, destination
 * mode 11, pending 12, polarity 13, remote IRR 14, level 15, mask 16, destination 63:56.
 */
export const KvmIoapicState = new Struct("kvm_ioapic_state")
  .BigUInt64LE("base_address") // GPA
  .UInt32LE("ioregsel")
  .UInt32LE("id")
  .UInt32LE("irr")
  .UInt32LE("pad")
  .BigUInt64Array("redirtbl", 24)
  .compile();
export type KvmIoapicState = Fields<typeof KvmIoapicState>;

/** The union `chip` of `struct kvm_irqchip`. */
export const KvmIrqchipUnion = new Struct("kvm_irqchip.chip")
  .Struct("pic", KvmPicState)
  .seek(-16)
  .Struct("ioapic", KvmIoapicState)
  .seek(-216)
  .UInt8Array("dummy", 512)
  .compile();
export type KvmIrqchipUnion = Fields<typeof KvmIrqchipUnion>;

/** `struct kvm_irqchip`, of GET_IRQCHIP and SET_IRQCHIP. */
export const KvmIrqchip = new Struct("kvm_irqchip")
  .UInt32LE("chip_id") // kvmIrqchipId
  .UInt32LE("pad")
  .Struct("chip", KvmIrqchipUnion)
  .compile();
export type KvmIrqchip = Fields<typeof KvmIrqchip>;

/** `KVM_IRQCHIP_*`. */
export const kvmIrqchipId = constants("KVM_IRQCHIP_", { PIC_MASTER: 0, PIC_SLAVE: 1, IOAPIC: 2 });

/** `struct kvm_lapic_state`, of GET_LAPIC and SET_LAPIC: the register page, 16 bytes a register. */
export const KvmLapicState = new Struct("kvm_lapic_state").UInt8Array("regs", 0x400).compile();
export type KvmLapicState = Fields<typeof KvmLapicState>;

/** `struct kvm_pit_config`, of CREATE_PIT2. */
export const KvmPitConfig = new Struct("kvm_pit_config")
  .UInt32LE("flags") // kvmPitFlag
  .UInt32Array("pad", 15)
  .compile();
export type KvmPitConfig = Fields<typeof KvmPitConfig>;

/** `KVM_PIT_*`: port 0x61 reads as without a speaker. */
export const kvmPitFlag = constants("KVM_PIT_", { SPEAKER_DUMMY: 1 });

/** `struct kvm_pit_channel_state`. */
export const KvmPitChannelState = new Struct("kvm_pit_channel_state")
  .UInt32LE("count") // 0 to 65536
  .UInt16LE("latched_count")
  .UInt8("count_latched")
  .UInt8("status_latched")
  .UInt8("status")
  .UInt8("read_state")
  .UInt8("write_state")
  .UInt8("write_latch")
  .UInt8("rw_mode")
  .UInt8("mode")
  .UInt8("bcd")
  .UInt8("gate")
  .BigInt64LE("count_load_time") // ns
  .compile();
export type KvmPitChannelState = Fields<typeof KvmPitChannelState>;

/** `struct kvm_pit_state2`, of GET_PIT2 and SET_PIT2. */
export const KvmPitState2 = new Struct("kvm_pit_state2")
  .StructArray("channels", KvmPitChannelState, 3)
  .UInt32LE("flags") // kvmPitStateFlag
  .UInt32Array("reserved", 9)
  .compile();
export type KvmPitState2 = Fields<typeof KvmPitState2>;

/** `KVM_PIT_FLAGS_*`. */
export const kvmPitStateFlag = constants("KVM_PIT_FLAGS_", { HPET_LEGACY: 1, SPEAKER_DATA_ON: 2 });
