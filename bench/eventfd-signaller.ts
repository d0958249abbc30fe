// The thread that signals: a moment after it is asked to, when the other sleeps.
import { signalEventfd } from "../src/ffi/eventfd.ts";
import { now } from "./clock.ts";

export interface SignallerRequest {
  readonly fd: number;
  /** A counter of what is asked for, 4 bytes; at 8, the time of the last signal in ns. */
  readonly shared: SharedArrayBuffer;
}

declare const self: Worker;
const moment = 100_000n;

self.onmessage = ({ data: { fd, shared } }: MessageEvent<SignallerRequest>) => {
  const turns = new Int32Array(shared, 0, 1);
  const stamp = new BigInt64Array(shared, 8, 1);
  postMessage("ready");
  for (let turn = 0; ; turn++) {
    Atomics.wait(turns, 0, turn);
    const asked = now();
    while (now() - asked < moment);
    Atomics.store(stamp, 0, now());
    signalEventfd(fd);
  }
};
