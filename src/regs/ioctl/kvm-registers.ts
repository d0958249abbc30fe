// asm/kvm.h of x86: registers of a vCPU.
import { Struct, type Fields } from "./struct.ts";

/** `struct kvm_regs`, of GET_REGS and SET_REGS. */
export const KvmRegs = new Struct("kvm_regs")
  .BigUInt64LE("rax")
  .BigUInt64LE("rbx")
  .BigUInt64LE("rcx")
  .BigUInt64LE("rdx")
  .BigUInt64LE("rsi")
  .BigUInt64LE("rdi")
  .BigUInt64LE("rsp")
  .BigUInt64LE("rbp")
  .BigUInt64LE("r8")
  .BigUInt64LE("r9")
  .BigUInt64LE("r10")
  .BigUInt64LE("r11")
  .BigUInt64LE("r12")
  .BigUInt64LE("r13")
  .BigUInt64LE("r14")
  .BigUInt64LE("r15")
  .BigUInt64LE("rip")
  .BigUInt64LE("rflags")
  .compile();
export type KvmRegs = Fields<typeof KvmRegs>;

/** `struct kvm_segment`. One byte for each bit of the descriptor. */
export const KvmSegment = new Struct("kvm_segment")
  .BigUInt64LE("base")
  .UInt32LE("limit") // bytes - 1
  .UInt16LE("selector")
  .UInt8("type")
  .UInt8("present")
  .UInt8("dpl")
  .UInt8("db")
  .UInt8("s")
  .UInt8("l")
  .UInt8("g")
  .UInt8("avl")
  .UInt8("unusable")
  .UInt8("padding")
  .compile();
export type KvmSegment = Fields<typeof KvmSegment>;

/** `struct kvm_dtable`. */
export const KvmDtable = new Struct("kvm_dtable")
  .BigUInt64LE("base")
  .UInt16LE("limit") // bytes - 1
  .UInt16Array("padding", 3)
  .compile();
export type KvmDtable = Fields<typeof KvmDtable>;

/** `struct kvm_sregs`, of GET_SREGS and SET_SREGS. */
export const KvmSregs = new Struct("kvm_sregs")
  .Struct("cs", KvmSegment)
  .Struct("ds", KvmSegment)
  .Struct("es", KvmSegment)
  .Struct("fs", KvmSegment)
  .Struct("gs", KvmSegment)
  .Struct("ss", KvmSegment)
  .Struct("tr", KvmSegment)
  .Struct("ldt", KvmSegment)
  .Struct("gdt", KvmDtable)
  .Struct("idt", KvmDtable)
  .BigUInt64LE("cr0")
  .BigUInt64LE("cr2")
  .BigUInt64LE("cr3")
  .BigUInt64LE("cr4")
  .BigUInt64LE("cr8")
  .BigUInt64LE("efer")
  .BigUInt64LE("apic_base")
  .BigUInt64Array("interrupt_bitmap", 4)
  .compile();
export type KvmSregs = Fields<typeof KvmSregs>;

/** `struct kvm_fpu`, of GET_FPU and SET_FPU. */
export const KvmFpu = new Struct("kvm_fpu")
  .UInt8Array("fpr", 8 * 16)
  .UInt16LE("fcw")
  .UInt16LE("fsw")
  .UInt8("ftwx")
  .UInt8("pad1")
  .UInt16LE("last_opcode")
  .BigUInt64LE("last_ip")
  .BigUInt64LE("last_dp")
  .UInt8Array("xmm", 16 * 16)
  .UInt32LE("mxcsr")
  .UInt32LE("pad2")
  .compile();
export type KvmFpu = Fields<typeof KvmFpu>;

/** `struct kvm_debugregs`, of GET_DEBUGREGS and SET_DEBUGREGS. */
export const KvmDebugregs = new Struct("kvm_debugregs")
  .BigUInt64Array("db", 4)
  .BigUInt64LE("dr6")
  .BigUInt64LE("dr7")
  .BigUInt64LE("flags")
  .BigUInt64Array("reserved", 9)
  .compile();
export type KvmDebugregs = Fields<typeof KvmDebugregs>;

/** `struct kvm_xsave`, of GET_XSAVE, GET_XSAVE2 and SET_XSAVE. Tail: what CHECK_EXTENSION of XSAVE2 says beyond 4096. */
export const KvmXsave = new Struct("kvm_xsave").UInt32Array("region", 1024).UInt32Array("extra").compile();
export type KvmXsave = Fields<typeof KvmXsave>;

/** `struct kvm_xcr`. */
export const KvmXcr = new Struct("kvm_xcr")
  .UInt32LE("xcr")
  .UInt32LE("reserved")
  .BigUInt64LE("value")
  .compile();
export type KvmXcr = Fields<typeof KvmXcr>;

/** `struct kvm_xcrs`, of GET_XCRS and SET_XCRS. */
export const KvmXcrs = new Struct("kvm_xcrs")
  .UInt32LE("nr_xcrs")
  .UInt32LE("flags")
  .StructArray("xcrs", KvmXcr, 16)
  .BigUInt64Array("padding", 16)
  .compile();
export type KvmXcrs = Fields<typeof KvmXcrs>;
