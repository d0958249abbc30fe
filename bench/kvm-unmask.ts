// `bun bench/kvm-unmask.ts`, where /dev/kvm is: what it takes to unmask N vectors of an MSI-X capability in one update, as
// one guest write does, and one by one, with the whole routing table set for each, as the reference does.
import type { MsiGroup, VectorChange } from "../src/device/seam/platform.ts";
import { traceSyscalls } from "../src/ffi/trace.ts";
import { Kvm } from "../src/kvm/kvm.ts";
import { VirtualMachine } from "../src/kvm/machine.ts";
import { kvmVmRequest } from "../src/regs/ioctl/kvm-requests.ts";

export interface UnmaskCost {
  /** KVM_SET_GSI_ROUTING requests, and entries in them. */
  readonly tables: number;
  readonly entries: number;
  /** KVM_IRQFD requests. */
  readonly irqfds: number;
  /** Time in KVM_SET_GSI_ROUTING alone, and all of it without tracing, in microseconds. */
  readonly routing: number;
  readonly all: number;
}

/** What unmasking costs on a machine of its own. @param way `"batch"` in one update, `"each"` one update a vector */
export function unmask(kvm: Kvm, vectors: number, way: "batch" | "each"): UnmaskCost {
  const changes = Array.from({ length: vectors }, (_, vector): VectorChange => {
    return {
      vector,
      message: { addressLow: 0xfee0_0000, addressHigh: 0, data: vector & 0xff, requesterId: 8 },
    };
  });
  const act = (group: MsiGroup): void => {
    if (way === "batch") group.update(changes);
    else for (const change of changes) group.update([change]);
  };
  const counts = { tables: 0, entries: 0, irqfds: 0, routing: 0 };
  {
    using made = fresh(kvm, vectors);
    using _ = traceSyscalls(({ name, args, microseconds }) => {
      if (name !== "ioctl") return;
      if (args[1] === kvmVmRequest.IRQFD) counts.irqfds++;
      if (args[1] !== kvmVmRequest.SET_GSI_ROUTING) return;
      counts.tables++;
      counts.routing += microseconds;
      const { buffer, byteOffset } = args[2] as Uint8Array;
      counts.entries += new DataView(buffer, byteOffset).getUint32(0, true);
    });
    act(made.group);
  }
  using made = fresh(kvm, vectors);
  const start = Bun.nanoseconds();
  act(made.group);
  return { ...counts, all: (Bun.nanoseconds() - start) / 1000 };
}

function fresh(kvm: Kvm, vectors: number): Disposable & { readonly group: MsiGroup } {
  const machine = new VirtualMachine(kvm);
  const group = machine.interrupts.createMsiGroup(vectors);
  // The device has its eventfds before the guest unmasks.
  for (let vector = 0; vector < vectors; vector++) group.eventfd(vector);
  return { group, [Symbol.dispose]: () => machine[Symbol.dispose]() };
}

export const sizes = [16, 64, 257, 1024, 2048];

/** One line of the table: in one update / one by one. */
export function unmaskLine(kvm: Kvm, vectors: number): string {
  const [batch, each] = [unmask(kvm, vectors, "batch"), unmask(kvm, vectors, "each")];
  const cell = (key: keyof UnmaskCost): string =>
    `${batch[key].toFixed(0)} / ${each[key].toFixed(0)}`.padEnd(18);
  const ratio = (key: keyof UnmaskCost): string => `${(each[key] / batch[key]).toFixed(0)}x`.padEnd(7);
  const times = `${cell("routing")}${ratio("routing")}${cell("all")}${ratio("all")}`;
  return `${String(vectors).padEnd(9)}${cell("tables")}${cell("entries")}${times}`.trimEnd();
}
export const unmaskHeader =
  "vectors  tables            entries           routing, us       ratio  all, us           ratio";

if (import.meta.main) {
  using kvm = new Kvm();
  unmask(kvm, 64, "each");
  console.log(unmaskHeader);
  for (const vectors of sizes) console.log(unmaskLine(kvm, vectors));
}
