// The host's devices in the guest's slots: opened, attached, given back.
import {
  chooseApi,
  Container,
  Ioas,
  IrqIndex,
  openDevice,
  RangeAllocator,
  thisHost,
  VfioError,
  VfioPciDevice,
  type DeviceSnapshot,
} from "bun-vfio";
import { KvmPlatform, type GuestMemory, type TrapBus, type VirtualMachine } from "bun-vfio/kvm";
import { gsiOf, memory, ports, type Window } from "../layout.ts";
import type { PciBus } from "./pci-bus.ts";

export type Api = "auto" | "group" | "iommufd";

/** The parts of the machine that a device becomes a part of. */
export interface Surroundings {
  readonly machine: VirtualMachine;
  readonly ram: GuestMemory;
  readonly bus: TrapBus;
  readonly pci: PciBus;
  readonly say: (message: string) => void;
  /** The host wants the device of a slot back. */
  readonly onRequest: (slot: number) => void;
}

interface Passed {
  readonly bdf: string;
  readonly device: VfioPciDevice;
  readonly owned: DisposableStack;
}

const allocator = ({ base, size }: Window): RangeAllocator => new RangeAllocator(base, size);

/** All devices share one address space of the IOMMU, in which the guest's memory is where the guest has it. */
export class PassedDevices implements Disposable {
  readonly #around: Surroundings;
  readonly #api: Api;
  readonly #addresses = {
    mmio32: allocator(memory.mmio32),
    mmio64: allocator(memory.mmio64),
    io: allocator(ports.bars),
  };
  readonly #slots = new Map<number, Passed>();
  readonly #owned = new DisposableStack();
  #iommu: Container | Ioas | undefined;

  constructor(around: Surroundings, api: Api) {
    this.#around = around;
    this.#api = api;
  }

  /** What is in which slot. */
  get list(): ReadonlyMap<number, { readonly bdf: string; readonly device: VfioPciDevice }> {
    return this.#slots;
  }

  /**
   * Puts a device into a slot.
   * @param bdf of a device that is bound to vfio-pci
   * @param snapshot of such a device, whose state it gets
   * @throws VfioError with what is wrong and the next step
   */
  insert(slot: number, bdf: string, snapshot?: DeviceSnapshot): void {
    const { machine, bus, pci, ram, say, onRequest } = this.#around;
    using owned = new DisposableStack();
    const iommu = (this.#iommu ??= this.#owned.use(this.#open(bdf)));
    const backend = owned.use(openDevice(bdf, { iommu }));
    const { dma } = backend;
    if (!dma) throw noIommu(bdf);
    // After the device is open: a container maps only when one is in it. It is mapped once, and counted for the others.
    owned.use(ram.mapFor(dma));
    owned.use(machine.vfio.add(backend.fd));
    const part = bus.forDevice(bdf);
    const platform = new KvmPlatform(machine, {
      addresses: this.#addresses,
      bus: part,
      dma,
      intx: (pin) => gsiOf(slot, pin),
    });
    const options = {
      deviceId: slot << 3,
      onEvent: ({ kind, message }: { kind: string; message: string }) => say(`${bdf}: ${kind}: ${message}`),
    };
    const device = snapshot
      ? VfioPciDevice.restore(backend, platform, snapshot, options)
      : VfioPciDevice.attach(backend, platform, options);
    owned.use(device);
    const tells = (index: number): boolean => (backend.irqs[index]?.count ?? 0) > 0;
    if (tells(IrqIndex.request)) backend.on("remove-requested", () => onRequest(slot));
    if (tells(IrqIndex.error))
      backend.on("error", () => say(`${bdf} reports an error that it cannot correct`));
    pci.insert(slot, device);
    owned.defer(() => pci.remove(slot));
    part.device = device;
    this.#slots.set(slot, { bdf, device, owned: owned.move() });
  }

  #open(bdf: string): Container | Ioas {
    const api = this.#api === "auto" ? chooseApi(thisHost, bdf, "auto", false).api : this.#api;
    if (api === "noiommu") throw noIommu(bdf);
    return api === "iommufd" ? Ioas.open() : Container.open({ node: api === "group" ? "vfio" : "iommufd" });
  }

  /** The guest has let go of it: the slot is empty, and the host has its device back. @returns which it was */
  remove(slot: number): string | undefined {
    const passed = this.#slots.get(slot);
    this.#slots.delete(slot);
    passed?.owned.dispose();
    return passed?.bdf;
  }

  /** Gives all devices back. */
  [Symbol.dispose](): void {
    using _ = this.#owned;
    for (const slot of [...this.#slots.keys()]) this.remove(slot);
  }
}

const noIommu = (bdf: string): VfioError =>
  new VfioError(`${bdf} is behind no IOMMU: it could reach all of the host's memory`, {
    code: "ENOTSUP",
    device: bdf,
    hint: "Turn the IOMMU on: in the firmware, and on the kernel's command line (intel_iommu=on).",
  });
