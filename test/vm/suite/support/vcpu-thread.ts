// A Worker that runs one vCPU of a machine that another thread made, until it is told to stop.
import { getRegs } from "../../../../src/ffi/kvm-vcpu.ts";
import { runLoop } from "../../../../src/kvm/run-loop.ts";
import { TrapBus } from "../../../../src/kvm/trap-bus.ts";
import { Vcpu } from "../../../../src/kvm/vcpu.ts";
import { VcpuControl } from "../../../../src/kvm/vcpu-control.ts";
import { beginAt } from "./guest.ts";

export interface VcpuRequest {
  readonly vm: number;
  readonly id: number;
  readonly runSize: number;
  readonly control: SharedArrayBuffer;
  /** Counters: kicks seen, exits seen, 1 once the loop runs. */
  readonly counters: SharedArrayBuffer;
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<VcpuRequest>) => {
  const { vm, id, runSize, control, counters } = data;
  const counts = new Int32Array(counters);
  let end: string;
  let rip: bigint;
  {
    using vcpu = new Vcpu({ vm, id, runSize, control: new VcpuControl(control) });
    beginAt(vcpu, 0x1000);
    const bus = new TrapBus(() => void Atomics.add(counts, 1, 1));
    Atomics.store(counts, 2, 1);
    Atomics.notify(counts, 2);
    end = runLoop(vcpu, {
      ioRead: (port, bytes) => bus.ioRead(port, bytes),
      ioWrite: (port, bytes) => bus.ioWrite(port, bytes),
      mmioRead: (address, bytes) => bus.mmioRead(address, bytes),
      mmioWrite: (address, bytes) => bus.mmioWrite(address, bytes),
      kicked: () => {
        Atomics.add(counts, 0, 1);
        Atomics.notify(counts, 0);
      },
    });
    rip = getRegs(vcpu.fd).rip;
  }
  postMessage({ end, rip });
};
