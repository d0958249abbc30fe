// A virtual machine of KVM with one CPU in real mode, for programs of a few instructions.
// Refuses to run on a host.
import "./devices.ts";
import { AnonymousMemory } from "../../../../src/ffi/anonymous-memory.ts";
import { getRegs, getSregs, setRegs, setSregs } from "../../../../src/ffi/kvm-vcpu.ts";
import type { Kvm } from "../../../../src/kvm/kvm.ts";
import { VirtualMachine, type MachineOptions } from "../../../../src/kvm/machine.ts";
import { Vcpu } from "../../../../src/kvm/vcpu.ts";
import type { VcpuControl } from "../../../../src/kvm/vcpu-control.ts";

export const memorySize = 0x80000;
const codeAt = 0x1000;
const stackAt = 0x7000;

/** Has a CPU begin at an address below 64 KiB, in real mode, with interrupts off. */
export function beginAt(vcpu: Vcpu, address: number): void {
  const special = getSregs(vcpu.fd);
  for (const name of ["cs", "ds", "es", "ss"] as const) {
    special[name].base = 0n;
    special[name].selector = 0;
  }
  setSregs(vcpu.fd, special);
  const registers = getRegs(vcpu.fd);
  registers.rip = BigInt(address);
  registers.rflags = 2n;
  registers.rsp = BigInt(stackAt);
  setRegs(vcpu.fd, registers);
}

export interface GuestOptions extends MachineOptions {
  readonly control?: VcpuControl;
  /** By vector: the code that handles it. */
  readonly handlers?: Readonly<Record<number, readonly number[]>>;
}

export class RealModeGuest implements Disposable {
  readonly machine: VirtualMachine;
  /** 512 KiB from 0 on: interrupt vectors at 0, the program at 0x1000, its stack below 0x7000, handlers from 0x8000 on. */
  readonly memory: AnonymousMemory;
  readonly vcpu: Vcpu;
  readonly #owned: DisposableStack;

  constructor(kvm: Kvm, code: readonly number[], { control, handlers = {}, ...options }: GuestOptions = {}) {
    using owned = new DisposableStack();
    this.memory = owned.use(new AnonymousMemory(memorySize));
    this.machine = owned.use(new VirtualMachine(kvm, options));
    this.machine.slots.add({ gpa: 0, size: memorySize, hva: this.memory.address, readOnly: false });
    this.memory.write(codeAt, new Uint8Array(code));
    for (const [vector, handler] of Object.entries(handlers)) {
      const at = 0x8000 + 0x80 * Number(vector);
      this.memory.write(at, new Uint8Array(handler));
      this.memory.write(4 * Number(vector), new Uint8Array(Uint32Array.of(at).buffer));
    }
    this.vcpu = owned.use(new Vcpu({ vm: this.machine.fd, id: 0, runSize: kvm.runSize, control }));
    beginAt(this.vcpu, codeAt);
    this.#owned = owned.move();
  }

  /** Runs to the next access to a port. @returns the port @throws Error for any other exit */
  runToPort(): number {
    if (!this.vcpu.run()) throw new Error("a kick came");
    const { page } = this.vcpu;
    if (page.reason !== 2) throw new Error(`exit ${page.reason}`);
    return page.port;
  }

  /** Runs to the next write to a port. @returns its value */
  runToReport(port: number): number {
    const at = this.runToPort();
    const { page } = this.vcpu;
    if (at !== port || !page.isOut) throw new Error(`an access to port ${at}`);
    const data = new Uint8Array(page.ioWidth);
    page.takeIo(0, data);
    return data.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
