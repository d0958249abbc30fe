import { FileDescriptor } from "../ffi/file-descriptor.ts";
import { VfioError } from "../ffi/errors.ts";
import { setIrqLine, signalMsi } from "../ffi/kvm-interrupts.ts";
import { checkKvmExtension, createVm, type KvmCapability } from "../ffi/kvm-system.ts";
import { setTssAddress } from "../ffi/kvm-vm.ts";
import type { MsiMessage } from "../device/seam/platform.ts";
import { KvmInterrupts } from "./interrupts.ts";
import { Ioeventfds } from "./ioeventfds.ts";
import { irqCalls } from "./irq-calls.ts";
import type { Kvm } from "./kvm.ts";
import { KvmMemorySlots } from "./memory-slots.ts";
import { VfioRegistry } from "./vfio-registry.ts";
import { Gic, type GicOptions } from "./arm64/gic.ts";
import { createChips, ioapicPins, type IrqchipPlace } from "./x86/irqchip.ts";

/** Three pages below 4 GiB that Intel's KVM needs and no guest memory may have (Documentation/virt/kvm/api.rst, KVM_SET_TSS_ADDR). */
const tssAddress = 0xfffb_d000;

/** Which interrupt hardware a machine has. */
export interface MachineOptions {
  /** Where the interrupt controllers are; `kernel` unless given. INTx with resampling needs that. */
  readonly irqchip?: IrqchipPlace | undefined;
  /** aarch64: where the interrupt controller's parts are. */
  readonly gic?: GicOptions | undefined;
  /** x86-64, with `kernel`: the timer chip (8254) too, for guests without another; not unless asked for. */
  readonly pit?: boolean | undefined;
}

/** A virtual machine of KVM, x86-64 or aarch64 with a GICv3. `dispose` closes it with its interrupts; close its vCPUs before. */
export class VirtualMachine implements Disposable {
  /** Where its interrupt controllers are. */
  readonly irqchip: IrqchipPlace;
  /** Whether KVM has its timer. */
  readonly pit: boolean;
  /** On aarch64 its interrupt controller, to be started once all vCPUs are made; undefined on x86-64. */
  readonly gic: Gic | undefined;
  /** As `Kvm.runSize`, for whoever makes a vCPU. */
  readonly runSize: number;
  /** Memory that the guest reaches without an exit. */
  readonly slots: KvmMemorySlots;
  /** Its routes and the eventfds that drive them. */
  readonly interrupts: KvmInterrupts;
  /** Guest writes that signal an eventfd without an exit. */
  readonly ioeventfds: Ioeventfds;
  readonly #withDevid: boolean;
  readonly #descriptor: FileDescriptor;
  readonly #owned: DisposableStack;
  #vfio: VfioRegistry | undefined;

  /**
   * A machine without memory and vCPUs yet.
   * @param kvm only used while this runs @param options its interrupt hardware
   * @throws VfioError where KVM lacks something: nothing stays open then
   */
  constructor(kvm: Kvm, { irqchip = "kernel", pit = false, gic }: MachineOptions = {}) {
    const isArm = process.arch === "arm64";
    if (process.arch !== "x64" && !isArm)
      throw new VfioError(`virtual machines of ${process.arch} are not implemented`, { code: "ENOTSUP" });
    if (isArm !== (gic !== undefined) || (isArm && (pit || irqchip === "split")))
      throw new RangeError(
        `a machine of ${process.arch} has ${isArm ? "a GIC, and no chips of a PC" : "no GIC"}`,
      );
    if (pit && irqchip === "split")
      throw new RangeError("the timer chip needs the interrupt chips in the kernel, which are split");
    this.irqchip = irqchip;
    this.pit = pit;
    this.runSize = kvm.runSize;
    using failed = new DisposableStack();
    this.#descriptor = failed.use(new FileDescriptor(createVm(kvm.fd), "the virtual machine"));
    if (gic) this.gic = failed.use(new Gic(this.fd, gic));
    else setTssAddress(this.fd, tssAddress);
    const chips = this.gic?.routes() ?? createChips(this.fd, irqchip, pit);
    // Of a machine that has an ITS by now.
    this.#withDevid = this.extension("MSI_DEVID") > 0;
    this.slots = new KvmMemorySlots(this, this.extension("NR_MEMSLOTS"));
    // A vCPU that is still open keeps the machine alive: its memory must not be that of somebody else by then.
    failed.defer(() => this.slots.clear());
    this.interrupts = failed.use(
      new KvmInterrupts(
        irqCalls(this, this.#withDevid),
        { chips, first: this.gic?.lines ?? ioapicPins, limit: this.extension("IRQ_ROUTING") },
        irqchip === "kernel" ? { resamples: this.extension("IRQFD_RESAMPLE") > 0 } : undefined,
      ),
    );
    this.ioeventfds = new Ioeventfds(this);
    this.#owned = failed.move();
  }

  /** Open until `dispose`. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Whether it was disposed of. */
  get closed(): boolean {
    return this.#descriptor.closed;
  }

  /** What a capability says for this machine, 0 where KVM does not know it. @throws VfioError */
  extension(name: KvmCapability): number {
    return checkKvmExtension(this.fd, name);
  }

  /** KVM's VFIO device, made when first asked for. @throws VfioError where KVM has none */
  get vfio(): VfioRegistry {
    return (this.#vfio ??= this.#owned.use(new VfioRegistry(this.fd)));
  }

  /** Delivers one message as a device without an irqfd would. @returns whether a CPU took it @throws VfioError */
  signalMsi(message: MsiMessage): boolean {
    return signalMsi(this.fd, message, this.#withDevid);
  }

  /** Sets a line of the interrupt chips, as a device of the VMM's own does. @throws VfioError */
  setIrqLine(gsi: number, high: boolean): void {
    setIrqLine(this.fd, this.gic?.lineOf(gsi) ?? gsi, high);
  }

  /** Takes all interrupts and memory slots away and closes the machine. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
