// A Worker that makes accesses as a vCPU's thread does.
import { AccessMailbox } from "../src/kvm/access-mailbox.ts";
import type { AccessHandlers } from "../src/kvm/run-loop.ts";
import { TrapBus } from "../src/kvm/trap-bus.ts";
import type { ExitWay } from "./exits.ts";

export interface ExitOrder {
  readonly buffer: SharedArrayBuffer;
  readonly vcpu: number;
  readonly way: ExitWay;
  readonly count?: number;
  readonly milliseconds?: number;
}
export interface ExitTimes {
  /** In ns. */
  readonly times: number[];
}

declare const self: Worker;

const base = 0x1000;
const size = 0x1000;
/** Accesses that are too short for a clock are timed so many at once. */
const batch = 16;
const data = new Uint8Array(4);

/** Reads, each of which is waited for. */
function ask(asks: AccessHandlers, count: number, milliseconds: number): number[] {
  const times: number[] = [];
  const end = Bun.nanoseconds() + milliseconds * 1e6;
  for (let last = Bun.nanoseconds(), i = 0; i < count && last < end; i++) {
    asks.mmioRead(base + (i & 0xff), data);
    if (data[0] !== (i & 0xff)) throw new Error(`access ${i} was answered with ${data[0]}`);
    const time = Bun.nanoseconds();
    times.push(time - last);
    last = time;
  }
  return times;
}

/** @param between is not timed */
function inBatches(access: (at: number) => void, between: () => void, count: number): number[] {
  const times: number[] = [];
  for (let done = 0; done < count; done += batch) {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < batch; i++) access(base + i);
    times.push((Bun.nanoseconds() - begin) / batch);
    between();
  }
  return times;
}

self.onmessage = ({ data: order }: MessageEvent<ExitOrder>) => {
  const { buffer, vcpu, way, count = Infinity, milliseconds = Infinity } = order;
  const mailbox = new AccessMailbox(buffer);
  const asks = mailbox.ofVcpu(vcpu, way === "posted" ? [{ kind: "mmio", base, size }] : []);
  let times: number[];
  if (way === "asked") times = ask(asks, count, milliseconds);
  else if (way === "posted") {
    const write = (at: number): void => asks.mmioWrite(at, data);
    // Until the ring is empty again.
    times = inBatches(write, () => asks.mmioRead(base, data), count);
  } else {
    const state = new Int32Array(new SharedArrayBuffer(4));
    const bus = new TrapBus(undefined, asks);
    bus.insert("mmio", base, size, "a counter", {
      mmioRead: (_, into) => void (into[0] = Atomics.add(state, 0, 1)),
    });
    times = inBatches(
      (at) => bus.mmioRead(at, data),
      () => {},
      count,
    );
  }
  postMessage({ times } satisfies ExitTimes);
};
