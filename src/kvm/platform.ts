import { formatRange } from "../device/address/range.ts";
import { inspectCustom } from "../regs/inspect.ts";
import type {
  AddressWindows,
  Dma,
  GuestBus,
  Interrupts,
  IntxLine,
  Platform,
} from "../device/seam/platform.ts";
import { pageSize } from "../ffi/page-size.ts";
import type { VirtualMachine } from "./machine.ts";

/** What a device's platform has besides the machine. */
export interface KvmPlatformOptions {
  /** Windows of guest addresses for BARs, shared by all devices of the machine. */
  readonly addresses: AddressWindows;
  /** Who hands trapped accesses to the device: `TrapBus.forDevice`. */
  readonly bus: GuestBus;
  /** The IOMMU that maps guest memory for the device, where BARs may be mapped for peers too. */
  readonly dma?: Dma | undefined;
  /**
   * What an interrupt pin of the device is wired to, as the machine's firmware tables tell the guest: a GSI of the chips in
   * the kernel, or a line of the VMM's own IOAPIC.
   * @param pin 1 to 4 for INTA to INTD
   * @returns undefined: not wired. Without this function the device has no INTx.
   */
  readonly intx?: ((pin: number) => number | IntxLine | undefined) | undefined;
}

/** One device's view of a virtual machine of KVM. It owns nothing: groups and lines are closed by the device, the machine by its maker. */
export class KvmPlatform implements Platform {
  readonly memory: VirtualMachine["slots"];
  readonly interrupts: Interrupts;
  readonly addresses: AddressWindows;
  readonly bus: GuestBus;
  readonly dma: Dma | undefined;
  readonly pageSize = pageSize();

  /** For one device. @param machine that gives it memory slots and interrupts @param options what else it has */
  constructor(machine: VirtualMachine, { addresses, bus, dma, intx }: KvmPlatformOptions) {
    this.memory = machine.slots;
    this.addresses = addresses;
    this.bus = bus;
    this.dma = dma;
    this.interrupts = {
      createMsiGroup: (vectors) => machine.interrupts.createMsiGroup(vectors),
      createIntx: (pin) => {
        if (!Number.isInteger(pin) || pin < 1 || pin > 4)
          throw new RangeError(`pin must be 1 to 4 for INTA to INTD, not ${pin}`);
        const wired = intx?.(pin);
        return typeof wired === "number" ? machine.interrupts.createLine(wired) : wired;
      },
    };
  }

  /** As `KvmPlatform (mmio32 0xc0000000-0xfebfffff, mmio64 none, io none; no DMA)`. */
  [inspectCustom](): string {
    const windows = (["mmio32", "mmio64", "io"] as const).map((name) => {
      const window = this.addresses[name];
      return `${name} ${window && window.size > 0 ? formatRange(window) : "none"}`;
    });
    return `KvmPlatform (${windows.join(", ")}; ${this.dma ? "peers by DMA" : "no DMA"})`;
  }
}
