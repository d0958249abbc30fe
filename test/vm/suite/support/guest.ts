// A virtual machine of KVM with one CPU, for programs of a few instructions.
// Refuses to run on a host.
import "./devices.ts";
import { getRegs, getSregs, setRegs, setSregs } from "../../../../src/ffi/kvm-vcpu.ts";
import { GuestMemory } from "../../../../src/kvm/guest-memory.ts";
import type { Kvm } from "../../../../src/kvm/kvm.ts";
import { VirtualMachine, type MachineOptions } from "../../../../src/kvm/machine.ts";
import { Vcpu } from "../../../../src/kvm/vcpu.ts";
import type { VcpuControl } from "../../../../src/kvm/vcpu-control.ts";
import { kvmExitReason } from "../../../../src/regs/ioctl/index.ts";

export const memorySize = 0x80000;
const codeAt = 0x1000;
const stackAt = 0x7000;
const handlersAt = 0x8000;
const handlerSize = 0x80;
const idtAt = 0x400;
const gdtAt = 0xc00;
/** Flat segments of 4 GiB for code and data, and how they look in a table. */
const codeSegment = { selector: 0x08, type: 0xb, descriptor: 0x00cf_9b00_0000_ffffn };
const dataSegment = { selector: 0x10, type: 0x3, descriptor: 0x00cf_9300_0000_ffffn };

/** Has a CPU begin at an address below 64 KiB, in real mode, with interrupts off. */
export function beginAt({ fd }: Vcpu, address: number): void {
  const special = getSregs(fd);
  for (const name of ["cs", "ds", "es", "ss"] as const) {
    special[name].base = 0n;
    special[name].selector = 0;
  }
  setSregs(fd, special);
  begin(fd, address);
}

/** Has a CPU begin in protected mode, with 32 bits, flat segments and interrupts off. */
function beginProtected({ fd }: Vcpu, address: number): void {
  const special = getSregs(fd);
  for (const name of ["cs", "ds", "es", "ss"] as const) {
    const { selector, type } = name === "cs" ? codeSegment : dataSegment;
    const flat = { base: 0n, limit: 0xffff_ffff, present: 1, dpl: 0, db: 1, s: 1, l: 0, g: 1 };
    Object.assign(special[name], flat, { selector, type });
  }
  Object.assign(special.gdt, { base: BigInt(gdtAt), limit: 0x17 });
  Object.assign(special.idt, { base: BigInt(idtAt), limit: 0x7ff });
  special.cr0 |= 1n;
  setSregs(fd, special);
  begin(fd, address);
}

function begin(fd: number, address: number): void {
  const registers = getRegs(fd);
  registers.rip = BigInt(address);
  registers.rflags = 2n;
  registers.rsp = BigInt(stackAt);
  setRegs(fd, registers);
}

export interface GuestOptions extends MachineOptions {
  readonly control?: VcpuControl;
  /** By vector: the code that handles it. In protected mode from 0x20 to 0xff. */
  readonly handlers?: Readonly<Record<number, readonly number[]>>;
}

/** 512 KiB from 0 on: the program at 0x1000, its stack below 0x7000, handlers from 0x8000 on. */
export class Guest implements Disposable {
  readonly machine: VirtualMachine;
  readonly memory: GuestMemory;
  readonly vcpu: Vcpu;
  readonly #owned: DisposableStack;

  constructor(
    kvm: Kvm,
    mode: "real" | "protected",
    program: readonly number[],
    { control, handlers = {}, ...options }: GuestOptions = {},
  ) {
    using owned = new DisposableStack();
    this.machine = owned.use(new VirtualMachine(kvm, options));
    this.memory = owned.use(new GuestMemory(this.machine.slots, { places: [{ gpa: 0, size: memorySize }] }));
    this.memory.write(codeAt, new Uint8Array(program));
    for (const [vector, handler] of Object.entries(handlers)) {
      const at = handlersAt + handlerSize * Number(vector);
      this.memory.write(at, new Uint8Array(handler));
      // An interrupt gate, or the real mode's segment and offset.
      const gate = [at | (codeSegment.selector << 16), 0x8e00];
      if (mode === "protected") this.#words(idtAt + 8 * Number(vector), gate);
      else this.#words(4 * Number(vector), [at]);
    }
    if (mode === "protected")
      for (const { selector, descriptor } of [codeSegment, dataSegment])
        this.#words(gdtAt + selector, [Number(descriptor & 0xffff_ffffn), Number(descriptor >> 32n)]);
    this.vcpu = owned.use(new Vcpu({ vm: this.machine.fd, id: 0, runSize: kvm.runSize, control }));
    if (mode === "real") beginAt(this.vcpu, codeAt);
    else beginProtected(this.vcpu, codeAt);
    this.#owned = owned.move();
  }

  #words(at: number, words: readonly number[]): void {
    this.memory.write(at, new Uint8Array(Uint32Array.from(words).buffer));
  }

  /** Runs to the next access to a port. @returns the port @throws Error for any other exit */
  runToPort(): number {
    if (!this.vcpu.run()) throw new Error("a kick came");
    const { page } = this.vcpu;
    if (page.reason !== kvmExitReason.IO) throw new Error(`exit ${page.reason}`);
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

  /** What could not be given back is tried again by the next call. */
  [Symbol.dispose](): void {
    if (!this.#owned.disposed) return this.#owned.dispose();
    for (const part of [this.vcpu, this.memory, this.machine]) part[Symbol.dispose]();
  }
}
