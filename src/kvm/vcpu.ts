import { FileDescriptor } from "../ffi/file-descriptor.ts";
import { initArmVcpu } from "../ffi/kvm-arm64.ts";
import { setSignalMask, runVcpu } from "../ffi/kvm-vcpu.ts";
import { createVcpu } from "../ffi/kvm-vm.ts";
import { Mapping } from "../ffi/mapping.ts";
import { holdSignal, kickSignal, signalBit, takeSignal, threadId, type HeldSignal } from "../ffi/signals.ts";
import { Unreleased } from "../ffi/unreleased.ts";
import { RunPage } from "./run-page.ts";
import type { VcpuControl } from "./vcpu-control.ts";

/** Which vCPU to make. */
export interface VcpuOptions {
  /** Descriptor of the virtual machine, which is open in some thread of this process. */
  readonly vm: number;
  /** Number of the CPU; on x86 its APIC ID. */
  readonly id: number;
  /** `Kvm.runSize`, bytes. */
  readonly runSize: number;
  /** aarch64: it does not run before another vCPU turns it on, by PSCI; not unless asked for. */
  readonly poweredOff?: boolean | undefined;
  /** Lets other threads kick it; without one only the guest ends `run`. */
  readonly control?: VcpuControl | undefined;
}

/**
 * One virtual CPU. It belongs to the thread that makes it: `run` blocks that thread while the guest runs. Its registers are
 * reached by the functions of `bun-vfio/ffi`: `getRegs(vcpu.fd)`. `dispose`, in the same thread, closes it.
 */
export class Vcpu implements Disposable {
  /** Of its machine, from 0 on. */
  readonly id: number;
  /** What it shares with the VMM: the reason of the last exit, and its data. */
  readonly page: RunPage;
  /** How another thread stops it; undefined for one that none was given. */
  readonly control: VcpuControl | undefined;
  readonly #descriptor: FileDescriptor;
  readonly #name: string;
  readonly #thread: number;
  readonly #owned = new Unreleased<Disposable>((part) => part[Symbol.dispose]());
  /** `complete` met one more part of an access, which nobody has handled yet: what `page` holds. */
  #unhandled = false;

  /** A CPU as after a reset. @param options which one, of which machine @throws VfioError; nothing stays open then */
  constructor({ vm, id, runSize, control, poweredOff = false }: VcpuOptions) {
    this.id = id;
    this.control = control;
    this.#name = `vCPU ${id}`;
    using owned = new DisposableStack();
    this.#descriptor = owned.use(new FileDescriptor(createVcpu(vm, id), this.#name));
    if (process.arch === "arm64")
      initArmVcpu(vm, this.fd, ["PSCI_0_2", ...(poweredOff ? (["POWER_OFF"] as const) : [])], {
        device: this.#name,
      });
    const page = owned.use(
      new Mapping({ fd: this.fd, size: runSize, name: `the shared page of ${this.#name}` }),
    );
    this.page = new RunPage(page);
    let held: HeldSignal | undefined;
    if (control) {
      // Blocked in this thread, and let through only while the guest runs: a kick that comes between two runs waits, and
      // ends the next one at once.
      held = owned.use(holdSignal(kickSignal));
      setSignalMask(this.fd, held.before & ~signalBit(kickSignal), { device: this.#name });
    }
    this.#thread = threadId();
    for (const part of [this.#descriptor, page, held]) if (part) this.#owned.add(part);
    owned.move();
  }

  /** For the functions of `bun-vfio/ffi`. @throws VfioError (`ECLOSED`) after `dispose` */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * Runs the guest until something is asked of the VMM, which `page` describes, or a kick.
   * @returns whether there is an exit to handle; false: a kick
   * @throws VfioError
   */
  run(): boolean {
    if (this.#unhandled) {
      this.#unhandled = false;
      return true;
    }
    const { control } = this;
    if (!control) return this.#enter(undefined);
    // Only while this runs: Bun's event loop waits with all signals let through, and this one ends a process.
    control.attach(this.#thread);
    let kicked = true;
    try {
      kicked = !this.#enter(control);
      return !kicked;
    } finally {
      control.detach();
      // Its kick is seen, or the next run will see it.
      if (kicked || control.isKicked) takeSignal(kickSignal);
    }
  }

  #enter(control: VcpuControl | undefined): boolean {
    const { fd } = this;
    for (;;) {
      if (control?.takeKick()) return false;
      if (runVcpu(fd, { device: this.#name })) return true;
      // A signal that is no kick, such as the collector's, or one that came after its kick had been seen.
      if (control) takeSignal(kickSignal);
    }
  }

  /**
   * Ends what the last exit began, an access of the guest's: until then its registers are those of before. Runs no further
   * instruction. To be called before the state is read.
   * @returns whether it is ended; false: the access has one more part, which is the exit that the next `run` gives
   * @throws VfioError
   */
  complete(): boolean {
    if (this.#unhandled) return false;
    this.page.immediateExit = true;
    try {
      this.#unhandled = runVcpu(this.fd, { device: this.#name });
      return !this.#unhandled;
    } finally {
      this.page.immediateExit = false;
    }
  }

  /** Unmaps the shared page and closes the vCPU. Safe to call twice: what was refused, as a kick signal's release, is tried again. */
  [Symbol.dispose](): void {
    this.#owned.settleOrThrow();
  }
}
