// Requests on a vCPU (linux/kvm.h, asm/kvm.h of x86): running it, and what its state is made of.
import { KvmOneReg } from "../regs/ioctl/kvm-device.ts";
import { KvmLapicState } from "../regs/ioctl/kvm-irqchip.ts";
import { KvmInterrupt } from "../regs/ioctl/kvm-interrupt.ts";
import { KvmDebugregs, KvmFpu, KvmRegs, KvmSregs, KvmXcrs, KvmXsave } from "../regs/ioctl/kvm-registers.ts";
import { kvmVcpuRequest } from "../regs/ioctl/kvm-requests.ts";
import { KvmMpState, KvmMsrEntry, KvmSignalMask, KvmVcpuEvents } from "../regs/ioctl/kvm-vcpu.ts";
import { checked, checkedWide, uint32, uint64, type IntegerRange } from "../regs/ioctl/integer.ts";
import { bytesOf, create, memberRange, type StructClass } from "../regs/ioctl/struct.ts";
import { decodeCpuid, emptyCpuid, encodeCpuid, type CpuidEntry } from "./kvm-cpuid.ts";
import { addressOf, ioctl, ioctlError, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

type Name = keyof typeof kvmVcpuRequest;
/** Reads a part of a vCPU's state. @throws VfioError */
export type VcpuGetter<State> = (vcpu: number, context?: IoctlContext) => State;
/** Writes a part of a vCPU's state. @param state as the getter returned it, changed or not @throws VfioError */
export type VcpuSetter<State> = (vcpu: number, state: State, context?: IoctlContext) => void;

const request = (vcpu: number, name: Name, argument: Uint8Array | number, context: IoctlContext): number =>
  ioctl(vcpu, kvmVcpuRequest[name], argument, { ...context, request: `KVM_${name}` });

const getter =
  <Instance extends { readonly __struct: string }>(
    name: Name,
    type: StructClass<Instance>,
  ): VcpuGetter<Instance> =>
  (vcpu, context = {}) => {
    const state = create(type);
    request(vcpu, name, bytesOf(state), context);
    return state;
  };
const setter =
  (name: Name): VcpuSetter<object> =>
  (vcpu, state, context = {}) => {
    request(vcpu, name, bytesOf(state as { readonly __struct: string }), context);
  };

const interrupted = 4;
const again = 11;

/**
 * KVM_RUN: runs the guest until it wants something of the VMM.
 * @returns true: `kvm_run` says what; false: a signal came, or `immediate_exit` was set
 */
export function runVcpu(vcpu: number, context: IoctlContext = {}): boolean {
  const result = ioctlOrErrno(vcpu, kvmVcpuRequest.RUN, 0);
  if (result >= 0) return true;
  if (result === -interrupted || result === -again) return false;
  throw ioctlError(-result, { ...context, request: "KVM_RUN" });
}

/** KVM_SET_SIGNAL_MASK: the signals that stay blocked while the guest runs. @param set 64 bits, signal 1 the lowest */
export function setSignalMask(vcpu: number, set: bigint, context: IoctlContext = {}): void {
  checkedWide(set, uint64("a set of signals"));
  const argument = create(KvmSignalMask, 8);
  argument.len = 8;
  for (let i = 0; i < 8; i++) argument.sigset[i] = Number((set >> BigInt(8 * i)) & 0xffn);
  request(vcpu, "SET_SIGNAL_MASK", bytesOf(argument), context);
}

/** KVM_GET_REGS: the general registers. */
export const getRegs: VcpuGetter<KvmRegs> = getter("GET_REGS", KvmRegs);
/** KVM_SET_REGS. */
export const setRegs: VcpuSetter<KvmRegs> = setter("SET_REGS");
/** KVM_GET_SREGS: segments, control registers, tables. */
export const getSregs: VcpuGetter<KvmSregs> = getter("GET_SREGS", KvmSregs);
/** KVM_SET_SREGS. */
export const setSregs: VcpuSetter<KvmSregs> = setter("SET_SREGS");
/** KVM_GET_FPU. */
export const getFpu: VcpuGetter<KvmFpu> = getter("GET_FPU", KvmFpu);
/** KVM_SET_FPU. */
export const setFpu: VcpuSetter<KvmFpu> = setter("SET_FPU");
/** KVM_GET_XCRS. */
export const getXcrs: VcpuGetter<KvmXcrs> = getter("GET_XCRS", KvmXcrs);
/** KVM_SET_XCRS. */
export const setXcrs: VcpuSetter<KvmXcrs> = setter("SET_XCRS");
/** KVM_GET_DEBUGREGS. */
export const getDebugregs: VcpuGetter<KvmDebugregs> = getter("GET_DEBUGREGS", KvmDebugregs);
/** KVM_SET_DEBUGREGS. */
export const setDebugregs: VcpuSetter<KvmDebugregs> = setter("SET_DEBUGREGS");
/** KVM_GET_LAPIC: the local APIC in the kernel. */
export const getLapic: VcpuGetter<KvmLapicState> = getter("GET_LAPIC", KvmLapicState);
/** KVM_SET_LAPIC. */
export const setLapic: VcpuSetter<KvmLapicState> = setter("SET_LAPIC");
/** KVM_GET_VCPU_EVENTS: exceptions and interrupts that are on their way. */
export const getVcpuEvents: VcpuGetter<KvmVcpuEvents> = getter("GET_VCPU_EVENTS", KvmVcpuEvents);
/** KVM_SET_VCPU_EVENTS. */
export const setVcpuEvents: VcpuSetter<KvmVcpuEvents> = setter("SET_VCPU_EVENTS");
/** KVM_GET_MP_STATE: whether it runs, is halted, or waits for another CPU to start it. */
export const getMpState: VcpuGetter<KvmMpState> = getter("GET_MP_STATE", KvmMpState);
/** KVM_SET_MP_STATE. */
export const setMpState: VcpuSetter<KvmMpState> = setter("SET_MP_STATE");

const xsaveBytes = 4096;
/** More than any CPU has. */
const xsaveSize: IntegerRange = { ...uint32("the size of the extended state"), max: 2 ** 20 };

/** KVM_GET_XSAVE, or KVM_GET_XSAVE2 where the state is larger. @param size KVM_CAP_XSAVE2 of the machine, bytes; 0 without */
export function getXsave(vcpu: number, size: number, context: IoctlContext = {}): Uint8Array {
  checked(size, xsaveSize);
  const state = bytesOf(create(KvmXsave, Math.max(0, size - xsaveBytes)));
  request(vcpu, size > xsaveBytes ? "GET_XSAVE2" : "GET_XSAVE", state, context);
  return state;
}
/** KVM_SET_XSAVE. @param state as `getXsave` returned it */
export function setXsave(vcpu: number, state: Uint8Array, context: IoctlContext = {}): void {
  request(vcpu, "SET_XSAVE", state, context);
}

/** KVM_GET_CPUID2. */
export function getCpuid(vcpu: number, context: IoctlContext = {}): CpuidEntry[] {
  const list = emptyCpuid();
  request(vcpu, "GET_CPUID2", list, context);
  return decodeCpuid(list);
}
/** KVM_SET_CPUID2: before the vCPU runs for the first time. */
export function setCpuid(vcpu: number, entries: readonly CpuidEntry[], context: IoctlContext = {}): void {
  request(vcpu, "SET_CPUID2", encodeCpuid(entries), context);
}

/** A model-specific register. */
export interface Msr {
  /** Of the register, as WRMSR has it in ECX. */
  readonly index: number;
  /** 64 bits. */
  readonly data: bigint;
}

const msrIndex = memberRange(KvmMsrEntry, "index");
const msrData = memberRange(KvmMsrEntry, "data");

function encodeMsrs(msrs: readonly Msr[]): DataView<ArrayBuffer> {
  // struct kvm_msrs: the number and 4 bytes of padding; then for each the index, 4 bytes of padding, and the value.
  const view = new DataView(new ArrayBuffer(8 + 16 * msrs.length));
  view.setUint32(0, msrs.length, true);
  msrs.forEach(({ index, data }, i) => {
    view.setUint32(8 + 16 * i, checked(index, msrIndex), true);
    view.setBigUint64(16 + 16 * i, checkedWide(data, msrData), true);
  });
  return view;
}

/** KVM_GET_MSRS. @returns those before the first that KVM does not give */
export function getMsrs(vcpu: number, indexes: readonly number[], context: IoctlContext = {}): Msr[] {
  const view = encodeMsrs(indexes.map((index) => ({ index, data: 0n })));
  const count = request(vcpu, "GET_MSRS", new Uint8Array(view.buffer), context);
  return indexes.slice(0, count).map((index, i) => ({ index, data: view.getBigUint64(16 + 16 * i, true) }));
}
/** KVM_SET_MSRS. @returns how many KVM took: the first that it refuses ends it */
export const setMsrs = (vcpu: number, msrs: readonly Msr[], context: IoctlContext = {}): number =>
  request(vcpu, "SET_MSRS", new Uint8Array(encodeMsrs(msrs).buffer), context);

/** KVM_NMI. */
export function injectNmi(vcpu: number, context: IoctlContext = {}): void {
  request(vcpu, "NMI", 0, context);
}
/** KVM_INTERRUPT: for machines without interrupt chips in the kernel. @param vector 0 to 255 */
export function injectInterrupt(vcpu: number, vector: number, context: IoctlContext = {}): void {
  const argument = create(KvmInterrupt);
  argument.irq = vector;
  request(vcpu, "INTERRUPT", bytesOf(argument), context);
}

/** KVM_REG_SIZE_U2048 (linux/kvm.h). */
const registerSize: IntegerRange = { ...uint32("the size of a register"), min: 1, max: 256 };

/** KVM_GET_ONE_REG: a register by its id, as aarch64 has them all. @param bytes its size */
export function getOneReg(vcpu: number, id: bigint, bytes: number, context: IoctlContext = {}): Uint8Array {
  const value = new Uint8Array(new ArrayBuffer(checked(bytes, registerSize)));
  oneReg(vcpu, "GET_ONE_REG", id, value, context);
  return value;
}
/** KVM_SET_ONE_REG. @param value it starts as an `ArrayBuffer` */
export function setOneReg(vcpu: number, id: bigint, value: Uint8Array, context: IoctlContext = {}): void {
  oneReg(vcpu, "SET_ONE_REG", id, value, context);
}

function oneReg(
  vcpu: number,
  name: "GET_ONE_REG" | "SET_ONE_REG",
  id: bigint,
  value: Uint8Array,
  context: IoctlContext,
): void {
  const argument = create(KvmOneReg);
  argument.id = id;
  argument.addr = addressOf(value);
  ioctl(vcpu, kvmVcpuRequest[name], bytesOf(argument), {
    ...context,
    request: () => `KVM_${name} ${hex(id)}`,
  });
}
