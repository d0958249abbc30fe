// A thread that makes accesses as a vCPU's would, and tells what it has in its bytes after each.
import { AccessMailbox } from "../../src/kvm/access-mailbox.ts";
import type { PostedRange } from "../../src/kvm/posted-writes.ts";
import type { AccessHandlers } from "../../src/kvm/run-loop.ts";

export interface Access {
  readonly kind: keyof AccessHandlers;
  readonly address: number;
  readonly data: readonly number[];
}

export interface Asking {
  readonly buffer: SharedArrayBuffer;
  readonly vcpu: number;
  readonly accesses: readonly Access[];
  readonly posted?: readonly PostedRange[];
}

declare const self: Worker;

self.onmessage = ({ data: { buffer, vcpu, accesses, posted } }: MessageEvent<Asking>) => {
  const asks = new AccessMailbox(buffer).ofVcpu(vcpu, posted);
  postMessage(
    accesses.map(({ kind, address, data }) => {
      const bytes = Uint8Array.from(data);
      asks[kind](address, bytes);
      return [...bytes];
    }),
  );
};
