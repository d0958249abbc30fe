// A thread that runs one CPU: gives it its first state, runs it until something ends it, and says what, and where it was.
import { setCpuid, setMsrs, type CpuidEntry } from "bun-vfio/ffi";
import {
  restoreVcpu,
  runLoop,
  saveVcpu,
  Vcpu,
  VcpuControl,
  type RunEnd,
  type VcpuState,
  type VcpuStateOptions,
} from "bun-vfio/kvm";
import { enterKernel } from "../boot/long-mode.ts";
import { Mailbox } from "./mailbox.ts";

/** What a thread is given. */
export interface CpuOrders {
  readonly vm: number;
  readonly id: number;
  readonly runSize: number;
  readonly cpuid: readonly CpuidEntry[];
  readonly control: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
  /** Address of the kernel, for the first CPU; the others wait until it starts them. */
  readonly kernel: number | undefined;
  /** Goes on from here instead. */
  readonly state: VcpuState | undefined;
  readonly stateOptions: VcpuStateOptions;
}

/** What it says at its end. The state is there where it was stopped. */
export type CpuReport =
  | { readonly end: RunEnd; readonly state: VcpuState | undefined }
  | { readonly end: "failed"; readonly message: string };

/** IA32_MTRR_DEF_TYPE: memory is cached, unless the guest says otherwise. */
const memoryType = { index: 0x2ff, data: 0x806n };

function run(orders: CpuOrders): CpuReport {
  const { vm, id, runSize, kernel } = orders;
  const control = new VcpuControl(orders.control);
  using vcpu = new Vcpu({ vm, id, runSize, control });
  if (orders.state) restoreVcpu(vcpu, orders.state, orders.stateOptions);
  else {
    setCpuid(vcpu.fd, orders.cpuid);
    setMsrs(vcpu.fd, [memoryType]);
    if (kernel !== undefined) enterKernel(vcpu, kernel);
  }
  const end = runLoop(vcpu, new Mailbox(orders.mailbox).ofCpu(id));
  // A string instruction in its middle has no state that could be saved.
  const whole = end === "stopped" && vcpu.complete();
  return { end, state: whole ? saveVcpu(vcpu, orders.stateOptions) : undefined };
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<CpuOrders>) => {
  let report: CpuReport;
  try {
    report = run(data);
  } catch (error) {
    report = { end: "failed", message: error instanceof Error ? error.message : String(error) };
  }
  postMessage(report);
};
