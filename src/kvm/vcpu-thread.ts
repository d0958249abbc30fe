// A Worker that has one vCPU, and does with it what `VcpuThreads` orders, one order after the other. It imports little: a
// machine with many vCPUs loads it many times.
import type { CpuidEntry } from "../ffi/kvm-cpuid.ts";
import { setCpuid, setMsrs, type Msr } from "../ffi/kvm-vcpu.ts";
import { AccessMailbox } from "./access-mailbox.ts";
import type { LocalDevices } from "./local-devices.ts";
import type { PostedRange } from "./posted-writes.ts";
import { runLoop, type AccessHandlers, type RunEnd } from "./run-loop.ts";
import { VcpuControl } from "./vcpu-control.ts";
import { Vcpu } from "./vcpu.ts";
import { enterLongMode, type LongModeEntry } from "./x86/long-mode.ts";
import type { VcpuState, VcpuStateOptions } from "./x86/vcpu-state.ts";

/** How a vCPU begins. */
export interface VcpuStart {
  /** What it says of itself: `cpuidOf`. */
  readonly cpuid: readonly CpuidEntry[];
  /** Set before it runs first. */
  readonly msrs?: readonly Msr[] | undefined;
  /** Where it is entered. Without, it is as after a reset: number 0 runs the firmware, the others wait for a startup IPI. */
  readonly longMode?: LongModeEntry | undefined;
}

/** What a thread is told. Each order has one answer. */
export type VcpuOrder =
  | {
      readonly kind: "make";
      readonly vm: number;
      readonly id: number;
      readonly runSize: number;
      readonly control: SharedArrayBuffer;
      readonly mailbox: SharedArrayBuffer;
      readonly start: VcpuStart | VcpuState;
      readonly stateOptions: VcpuStateOptions;
      readonly posted: readonly PostedRange[];
      readonly local: LocalDevices | undefined;
    }
  | { readonly kind: "run" }
  | { readonly kind: "save" }
  | { readonly kind: "end" };

/** A failure is what a VfioError says, since errors lose their class between threads. */
export type VcpuAnswer =
  | { readonly result: RunEnd | VcpuState | undefined }
  | { readonly failure: { readonly message: string; readonly code: string; readonly hint?: string } };

declare const self: Worker;

let vcpu: Vcpu | undefined;
let made: (VcpuOrder & { kind: "make" }) | undefined;
let handlers: AccessHandlers | undefined;

async function obey(order: VcpuOrder): Promise<RunEnd | VcpuState | undefined> {
  if (order.kind === "make") {
    made = order;
    const { vm, id, runSize, start, stateOptions, posted, local } = order;
    handlers = new AccessMailbox(order.mailbox).ofVcpu(id, posted);
    if (local) handlers = await (await import("./local-devices.ts")).localHandlers(local, id, handlers);
    vcpu = new Vcpu({ vm, id, runSize, control: new VcpuControl(order.control) });
    if ("parts" in start) (await import("./x86/vcpu-state.ts")).restoreVcpu(vcpu, start, stateOptions);
    else {
      setCpuid(vcpu.fd, start.cpuid);
      if (start.msrs) setMsrs(vcpu.fd, start.msrs);
      if (start.longMode) enterLongMode(vcpu, start.longMode);
    }
  } else if (order.kind === "run") return runLoop(vcpu!, handlers!);
  else if (order.kind === "save") {
    // A string instruction in its middle has no state that could be saved.
    if (vcpu!.complete()) return (await import("./x86/vcpu-state.ts")).saveVcpu(vcpu!, made!.stateOptions);
  } else vcpu?.[Symbol.dispose]();
  return undefined;
}

self.onmessage = async ({ data: order }: MessageEvent<VcpuOrder>) => {
  let answer: VcpuAnswer;
  try {
    answer = { result: await obey(order) };
  } catch (error) {
    const { message, code = "EVCPU", hint } = error as Error & { code?: string; hint?: string };
    answer = { failure: { message, code, ...(hint === undefined ? {} : { hint }) } };
  }
  postMessage(answer);
  if (order.kind === "end") process.exit();
};
