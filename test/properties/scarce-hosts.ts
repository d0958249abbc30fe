// A host that has fewer interrupt vectors than the device, and gives some to others while the guest runs.
import { expect } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import { IrqIndex } from "../../src/regs/vfio/irqs.ts";
import { attach, type WatchedBackend } from "../support/attached.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { property, type Effects } from "./property.ts";

const few = fc.oneof(fc.nat(3), fc.nat(34));
const anyHost = fc.record({
  msi: few,
  msix: few,
  /** Whether it says how many it has, as the kernel does. */
  tells: fc.boolean(),
  /** How many it has after that many requests. */
  later: fc.option(fc.record({ requests: fc.nat(6), msi: few, msix: few }), { nil: undefined }),
});
type Host = typeof anyHost extends fc.Arbitrary<infer T> ? T : never;

/** Has a backend give no more vectors than the host has. @returns starts counting the requests until it has others */
function limit(backend: WatchedBackend, host: Host, effects: Effects): () => void {
  const setIrqs = backend.setIrqs.bind(backend);
  let left = Infinity;
  backend.setIrqs = (request) => {
    const { index, start, data } = request;
    const has = left-- > 0 ? host : (host.later ?? host);
    const kinds: Partial<Record<number, number>> = { [IrqIndex.msi]: has.msi, [IrqIndex.msix]: has.msix };
    const available = kinds[index] ?? Infinity;
    if (data.kind === "eventfd" && start + data.fds.length > available) {
      effects.count("refused");
      throw new VfioError("too many vectors", { code: "ENOSPC", ...(host.tells && { available }) });
    }
    setIrqs(request);
  };
  return () => void (left = host.later?.requests ?? Infinity);
}

export const scarceHosts = property({
  name: "scarceHosts",
  file: "scarce-hosts.ts",
  says: "a guest is offered what the host has, has all of it that it asks for, and loses no more than what the host loses",
  runs: 200,
  input: fc.record({ device: anyDevice, host: anyHost, steps: anySteps }),
  reaches: ["refused", "fewer MSI", "fewer MSI-X", "fewer later"],
  check({ device, host, steps }, effects) {
    let changes = (): void => {};
    using guest = attach(device, {
      prepare: (backend) => {
        changes = limit(backend, host, effects);
      },
    });
    const { interrupts, msix } = guest.device.describe();
    const { msi: messages, msix: vectors } = device;
    if (messages && messages.log2 > 0) {
      const most = Math.min(2 ** messages.log2, host.msi);
      expect(interrupts.msiVectors).toBe(most === 0 ? 0 : 2 ** Math.floor(Math.log2(most)));
      effects.count("fewer MSI", most < 2 ** messages.log2);
    }
    if (msix && vectors && vectors.vectors > 1) {
      expect(msix.guest.vectors).toBe(Math.min(vectors.vectors, host.msix));
      effects.count("fewer MSI-X", msix.guest.vectors < vectors.vectors);
    }
    changes();
    for (const step of steps) perform(guest, step, effects);
    const isLess = host.later !== undefined;
    effects.count("fewer later", isLess);
    // Of a kind with a single vector the host is not asked before.
    const isAsked = (messages?.log2 ?? 1) > 0 && (vectors?.vectors ?? 2) > 1;
    checkInvariants(guest, isLess || !isAsked ? "some" : "all");
  },
});
