// machines: (kvm)
// takes: 30 s
// What interrupts cost where KVM delivers them, counted by strace.
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { kvmVcpuRequest, kvmVmRequest, vfioRequest } from "../../../src/regs/ioctl/index.ts";
import { take } from "./support/devices.ts";
import {
  differences,
  isRequest,
  strace,
  withoutRuntime,
  type OwnCall,
  type StraceCall,
  type Traced,
} from "./support/strace.ts";

take("edu");
take("nvme");
const rounds = 50;
let traced: readonly Traced<StraceCall>[];
let own: readonly Traced<OwnCall>[];
let counts: readonly number[];
beforeAll(async () => {
  const program = join(import.meta.dir, "support/counted-guest.ts");
  const run = await strace<{ readonly own: readonly OwnCall[]; readonly counts: readonly number[] }>(
    program,
    String(rounds),
  );
  ({ strace: traced, own } = run);
  ({ counts } = run.answer);
}, 120_000);

/** How often each request was made between two marks; any other call by its name. */
function requests(name: string): Record<string, number> {
  const piece = traced.find((one) => one.name === name);
  if (!piece) throw new Error(`no mark "${name}"`);
  const names = {
    SET_IRQS: vfioRequest.DEVICE_SET_IRQS,
    IRQFD: kvmVmRequest.IRQFD,
    SET_GSI_ROUTING: kvmVmRequest.SET_GSI_ROUTING,
    RUN: kvmVcpuRequest.RUN,
  };
  const found: Record<string, number> = {};
  for (const call of withoutRuntime(piece.calls)) {
    const request = Object.entries(names).find(([, value]) => isRequest(call, value))?.[0] ?? call.name;
    found[request] = (found[request] ?? 0) + 1;
  }
  return found;
}

test(`${rounds} times INTx and ${rounds} MSIs: one KVM_RUN for all of them, and no other call`, () => {
  // The guest has counted them: before and after, INTx and MSI.
  expect(counts).toEqual([0, rounds, 0, rounds]);
  // A signal of the runtime's own would end a KVM_RUN, and another follow.
  for (const kind of ["INTx", "MSI"]) expect(requests(`${kind} interrupts`)).toEqual({ RUN: 1 });
});

test("MSI on: INTx off, one SET_IRQS, one routing table", () => {
  expect(requests("MSI on")).toEqual({ SET_IRQS: 2, IRQFD: 2, SET_GSI_ROUTING: 1, eventfd2: 1 });
});

test("MSI-X: one SET_IRQS to enable it, one for all 65 vectors, and one routing table", () => {
  const vectors = 65;
  expect(requests("MSI-X table writes")).toEqual({});
  expect(requests("MSI-X on, masked")).toEqual({ SET_IRQS: 2, IRQFD: 1 });
  const routed = { SET_IRQS: 1, SET_GSI_ROUTING: 1, IRQFD: vectors, eventfd2: vectors };
  expect(requests("MSI-X all unmasked")).toEqual(routed);
  for (const name of ["MSI-X all masked", "MSI-X unmasked again"])
    expect(requests(name)).toEqual({ IRQFD: vectors });
});

test("the library's own trace has every call that strace sees", () => {
  expect(own.map(({ name }) => name)).toEqual(traced.map(({ name }) => name));
  expect(traced.flatMap((piece, i) => differences(piece, own[i]!))).toEqual([]);
});
