// Everything that a vCPU is at an instant, as data that JSON can hold, and a vCPU that becomes it again.
import { VfioError } from "../../ffi/errors.ts";
import * as ffi from "../../ffi/kvm-vcpu.ts";
import { KvmDebugregs, KvmRegs, KvmSregs, KvmXcrs } from "../../regs/ioctl/kvm-registers.ts";
import { KvmLapicState } from "../../regs/ioctl/kvm-irqchip.ts";
import { KvmMpState, KvmVcpuEvents } from "../../regs/ioctl/kvm-vcpu.ts";
import { bytesOf, view, type StructClass } from "../../regs/ioctl/struct.ts";
import type { Kvm } from "../kvm.ts";
import type { VirtualMachine } from "../machine.ts";
import { hex } from "../../regs/hex-text.ts";
import type { VcpuState } from "./vcpu-state-schema.ts";

export type { VcpuState } from "./vcpu-state-schema.ts";

/** A vCPU as this file needs it: stopped, and of the calling thread. */
export interface StoppedVcpu {
  /** Its descriptor. */
  readonly fd: number;
}

/** What of the host and the machine a vCPU's state depends on: plain data, which other threads can be sent. */
export interface VcpuStateOptions {
  /** MSRs to save: `Kvm.msrs`. */
  readonly msrs: readonly number[];
  /** Bytes of the extended state: KVM_CAP_XSAVE2, or 4096. */
  readonly xsaveSize: number;
}

/** What to save of a machine's vCPUs on this host: every MSR that KVM lists, and all of the extended state. */
export const vcpuStateOptions = (kvm: Kvm, machine: VirtualMachine): VcpuStateOptions => ({
  msrs: kvm.msrs(),
  xsaveSize: Math.max(4096, machine.extension("XSAVE2")),
});

interface Part {
  readonly name: string;
  get(vcpu: number): Uint8Array;
  set(vcpu: number, bytes: Uint8Array<ArrayBuffer>): void;
  /** In bytes. */
  readonly size: number;
}

function structPart<State>(
  name: string,
  type: StructClass<State>,
  get: (vcpu: number) => State,
  set: (vcpu: number, state: State) => void,
): Part {
  return {
    name,
    size: type.baseSize,
    get: (vcpu) => bytesOf(get(vcpu) as { readonly __struct: string }),
    set: (vcpu, bytes) => set(vcpu, view(type, bytes)),
  };
}

const early: readonly Part[] = [
  structPart("sregs", KvmSregs, ffi.getSregs, ffi.setSregs),
  structPart("regs", KvmRegs, ffi.getRegs, ffi.setRegs),
  structPart("xcrs", KvmXcrs, ffi.getXcrs, ffi.setXcrs),
  structPart("debugregs", KvmDebugregs, ffi.getDebugregs, ffi.setDebugregs),
  structPart("lapic", KvmLapicState, ffi.getLapic, ffi.setLapic),
];
const late: readonly Part[] = [
  structPart("mpState", KvmMpState, ffi.getMpState, ffi.setMpState),
  structPart("events", KvmVcpuEvents, ffi.getVcpuEvents, ffi.setVcpuEvents),
];

/**
 * In the order of restoring. The local APIC comes after the special registers, which say where it is and in which mode;
 * events come last, because setting registers clears some of them.
 */
function partsOf(xsaveSize: number): readonly Part[] {
  const xsave: Part = {
    name: "xsave",
    size: xsaveSize,
    get: (vcpu) => ffi.getXsave(vcpu, xsaveSize),
    set: ffi.setXsave,
  };
  return [...early, xsave, ...late];
}

/**
 * All that a vCPU is.
 * @param vcpu that is stopped; what its last exit began is to be ended before (`Vcpu.complete`)
 * @param options of `vcpuStateOptions` @throws VfioError
 */
export function saveVcpu({ fd }: StoppedVcpu, { msrs, xsaveSize }: VcpuStateOptions): VcpuState {
  // First: reading it makes KVM finish what an INIT or SIPI began, which changes the rest.
  ffi.getMpState(fd);
  const parts = partsOf(xsaveSize).map(({ name, get }) => [name, get(fd).toBase64()]);
  return {
    version: 1,
    cpuid: ffi.getCpuid(fd),
    parts: Object.fromEntries(parts),
    msrs: readMsrs(fd, msrs).map(({ index, data }) => ({ index, data: hex(data) })),
  };
}

/**
 * Makes a vCPU what another was.
 * @param vcpu that has not run yet @param state as `saveVcpu` gave it @param options of `vcpuStateOptions`
 * @throws VfioError (`EBADSTATE`) if this is no state, or of another CPU or kernel; others where KVM refuses a part
 */
export function restoreVcpu({ fd }: StoppedVcpu, state: unknown, { xsaveSize }: VcpuStateOptions): void {
  const { parseVcpuState } = require("./vcpu-state-schema.ts") as typeof import("./vcpu-state-schema.ts");
  const { cpuid, parts, msrs } = parseVcpuState(state);
  // CPUID first: it decides which bits of the other registers exist.
  ffi.setCpuid(fd, cpuid);
  for (const { name, set, size } of partsOf(xsaveSize)) {
    const text = parts[name];
    const bytes = text === undefined ? undefined : Uint8Array.fromBase64(text);
    if (bytes?.length !== size)
      throw new VfioError(
        `the saved vCPU has ${bytes ? `${bytes.length} bytes of` : "no"} ${name}, this KVM takes ${size}`,
        { code: "EBADSTATE" },
      );
    set(fd, bytes);
    // After the local APIC, whose timer IA32_TSC_DEADLINE starts.
    if (name === "lapic")
      writeMsrs(
        fd,
        msrs.map(({ index, data }) => ({ index, data: BigInt(data) })),
      );
  }
}

/** The kernel stops at the first MSR that it does not give: that one is left out, and the rest asked for. */
function readMsrs(vcpu: number, indexes: readonly number[]): ffi.Msr[] {
  const found: ffi.Msr[] = [];
  for (let from = 0; from < indexes.length;) {
    const some = ffi.getMsrs(vcpu, indexes.slice(from));
    found.push(...some);
    from += some.length + 1;
  }
  return found;
}

/** What this host does not take is an error: the guest would not be the same. */
function writeMsrs(vcpu: number, msrs: readonly ffi.Msr[]): void {
  if (msrs.length === 0) return;
  const refused = msrs[ffi.setMsrs(vcpu, msrs)];
  if (!refused) return;
  throw new VfioError(`KVM does not take MSR ${hex(refused.index)} = ${hex(refused.data)}`, {
    code: "EBADSTATE",
    hint: "The state is of another CPU or another kernel.",
  });
}
