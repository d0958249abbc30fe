// Devices that each vCPU's thread answers by itself: their state is in memory that all threads share, so no thread has to be asked.
import type { AccessHandlers } from "./run-loop.ts";
import { TrapBus, type TrapTarget } from "./trap-bus.ts";

/** One of them, with its range. */
export interface LocalDevice {
  /** Memory, or I/O ports. */
  readonly kind: "io" | "mmio";
  /** A port, or a guest physical address. */
  readonly base: number;
  /** In bytes. */
  readonly size: number;
  /** For messages. */
  readonly name: string;
  /** Called in the vCPU's thread, while others may be in the same device: its state changes by `Atomics` alone. */
  readonly target: TrapTarget;
}

/**
 * The default export of a module that each vCPU's thread loads.
 * @param data as it was given to `VcpuThreads.make` @param vcpu whose thread it is, from 0 on
 */
export type MakeLocalDevices = (data: unknown, vcpu: number) => readonly LocalDevice[];

/** Where they come from. */
export interface LocalDevices {
  /** URL of the module. For `bun build --compile` it is one more entry point, as the thread itself is. */
  readonly module: string;
  /** What can be sent between threads: shared memory, numbers of descriptors, which all threads of a process share. */
  readonly data?: unknown;
}

/** For the thread of a vCPU. @param others answers all else @throws what the module throws; VfioError EEXIST where two overlap */
export async function localHandlers(
  { module, data }: LocalDevices,
  vcpu: number,
  others: AccessHandlers,
): Promise<AccessHandlers> {
  const { default: make } = (await import(module)) as { readonly default?: MakeLocalDevices };
  if (typeof make !== "function") throw new TypeError(`the default export of ${module} must be a function`);
  const bus = new TrapBus(undefined, others);
  for (const { kind, base, size, name, target } of make(data, vcpu))
    bus.insert(kind, base, size, name, target);
  return bus;
}
