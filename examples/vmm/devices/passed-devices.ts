// The host's devices in the guest's slots: attached, and given back.
import {
  IrqIndex,
  RangeAllocator,
  VfioPciDevice,
  type DeviceSnapshot,
  type TraceFile,
  type Tracer,
} from "bun-vfio";
import { Unreleased } from "bun-vfio/ffi";
import { KvmPlatform, type GuestMemory, type TrapBus, type VirtualMachine } from "bun-vfio/kvm";
import { gsiOf, memory, ports, type Window } from "../layout.ts";
import type { Api, DeviceSource } from "./host-devices.ts";
import type { PciBus } from "./pci-bus.ts";
import { AnyDevices } from "./socket-devices.ts";

/** The parts of the machine that a device becomes a part of. */
export interface Surroundings {
  readonly machine: VirtualMachine;
  readonly ram: GuestMemory;
  readonly bus: TrapBus;
  readonly pci: PciBus;
  readonly say: (message: string) => void;
  readonly trace: TraceFile | undefined;
  readonly flight: ((slot: number) => Tracer) | undefined;
  /** The host wants the device of a slot back. */
  readonly onRequest: (slot: number) => void;
}

interface Passed {
  readonly bdf: string;
  /** Owns the opened device: while the guest can reach its memory it stays open. */
  readonly device: VfioPciDevice;
  /** What it needed of the machine. */
  readonly taken: Unreleased<Disposable>;
}

const allocator = ({ base, size }: Window): RangeAllocator => new RangeAllocator(base, size);
const giveBack = (one: Disposable): void => one[Symbol.dispose]();

export class PassedDevices implements Disposable {
  readonly #around: Surroundings;
  readonly #source: DeviceSource;
  readonly #addresses = {
    mmio32: allocator(memory.mmio32),
    mmio64: allocator(memory.mmio64),
    io: allocator(ports.bars),
  };
  readonly #slots = new Map<number, Passed>();
  /** What the guest has no more: devices, and what was made for one that could not be attached. */
  readonly #leaving = new Unreleased<Pick<Passed, "bdf" | "taken"> & Partial<Passed>>(
    ({ device, taken }) => {
      device?.[Symbol.dispose]();
      // What it could not give back it has told of.
      if (device && !device.released) return false;
      taken.settleOrThrow();
      return true;
    },
    ({ bdf }, cause) =>
      this.#around.say(`${bdf} is not given back to the host yet, it is tried again: ${messageOf(cause)}`),
  );

  /** @param api how the host's devices are opened @param source of others */
  constructor(around: Surroundings, api: Api, source: DeviceSource = new AnyDevices(api)) {
    this.#around = around;
    this.#source = source;
  }

  /** What is in which slot. */
  get list(): ReadonlyMap<number, { readonly bdf: string; readonly device: VfioPciDevice }> {
    return this.#slots;
  }

  /**
   * Puts a device into a slot.
   * @param bdf of a device that is bound to vfio-pci, or `vfio-user:PATH`
   * @param snapshot of such a device, whose state it gets
   * @throws VfioError with what is wrong and the next step
   */
  insert(slot: number, bdf: string, snapshot?: DeviceSnapshot): void {
    const { machine, bus, pci, ram, say, trace, flight, onRequest } = this.#around;
    this.#leaving.settle();
    const taken = new Unreleased(giveBack);
    using failed = new DisposableStack();
    failed.defer(() => this.#leave({ bdf, taken }));
    const backend = failed.use(this.#source.open(bdf));
    // After the device is open: a container maps only when one is in it. It is mapped once, and counted for the others.
    taken.add(ram.mapFor(backend.dma!));
    if (backend.fd !== undefined) taken.add(machine.vfio.add(backend.fd));
    const part = bus.forDevice(bdf);
    const platform = new KvmPlatform(machine, {
      addresses: this.#addresses,
      bus: part,
      // Peers reach a device of the host's by its memory; one behind a socket has none here.
      dma: backend.fd === undefined ? undefined : backend.dma,
      intx: (pin) => gsiOf(slot, pin),
    });
    const options = {
      requesterId: slot << 3,
      trace: flight?.(slot) ?? trace?.of(bdf),
      onEvent: ({ kind, message }: { kind: string; message: string }) => say(`${bdf}: ${kind}: ${message}`),
    };
    const device = snapshot
      ? VfioPciDevice.restore(backend, platform, snapshot, options)
      : VfioPciDevice.attach(backend, platform, options);
    part.device = device;
    backend.onLost?.(() => void device.checkPresence());
    failed.move();
    const passed = { bdf, device, taken };
    try {
      const tells = (index: number): boolean => (backend.irqs[index]?.count ?? 0) > 0;
      if (tells(IrqIndex.request)) backend.on("remove-requested", () => onRequest(slot));
      if (tells(IrqIndex.error))
        backend.on("error", () => say(`${bdf} reports an error that it cannot correct`));
      pci.insert(slot, device);
    } catch (error) {
      this.#leave(passed);
      throw error;
    }
    this.#slots.set(slot, passed);
  }

  /**
   * The guest has let go of it: the slot is empty, and the host has its device back. What cannot be given back is told of, and
   * tried again whenever a device comes or goes: a guest that ejects a device is not ended by it.
   * @returns which it was
   */
  remove(slot: number): string | undefined {
    const passed = this.#slots.get(slot);
    if (!passed) return undefined;
    this.#slots.delete(slot);
    this.#around.pci.remove(slot);
    this.#leave(passed);
    return passed.bdf;
  }

  #leave(one: Pick<Passed, "bdf" | "taken"> & Partial<Passed>): void {
    this.#leaving.add(one);
    this.#leaving.settle();
  }

  /** Gives all devices back. */
  [Symbol.dispose](): void {
    for (const slot of [...this.#slots.keys()]) this.remove(slot);
    this.#leaving.settle();
    // One that stays open needs its address space; both go with the process.
    if (this.#leaving.size === 0) this.#source[Symbol.dispose]();
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
