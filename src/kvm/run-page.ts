// What a vCPU shares with its VMM: `struct kvm_run`, read by the offsets of its description. The kernel changes the page
// behind the engine's back, so it is read as device registers are.
import { MappedRegisters } from "../ffi/mapped-registers.ts";
import type { Mapping } from "../ffi/mapping.ts";
import {
  kvmIoDirection,
  KvmRun,
  KvmRunEmulationFailure,
  KvmRunEoi,
  KvmRunFailEntry,
  KvmRunInternal,
  KvmRunIo,
  KvmRunMmio,
  KvmRunSystemEvent,
} from "../regs/ioctl/kvm-run.ts";

type Offsets = Readonly<Record<string, number>>;

/** Offset of a member in the page, or of a member of one of its structs. */
function at(member: string, inner?: { getOffsets(): Offsets }, name = ""): number {
  const outer = (KvmRun.getOffsets() as Offsets)[member];
  const offset = inner ? inner.getOffsets()[name] : 0;
  if (outer === undefined || offset === undefined)
    throw new RangeError(`struct kvm_run has no ${member} ${name}`);
  return outer + offset;
}

const immediateExit = at("immediate_exit");
const exitReason = at("exit_reason");
const direction = at("io", KvmRunIo, "direction");
const ioSize = at("io", KvmRunIo, "size");
const port = at("io", KvmRunIo, "port");
const count = at("io", KvmRunIo, "count");
const dataOffset = at("io", KvmRunIo, "data_offset");
const address = at("mmio", KvmRunMmio, "phys_addr");
const mmioData = at("mmio", KvmRunMmio, "data");
const length = at("mmio", KvmRunMmio, "len");
const isWrite = at("mmio", KvmRunMmio, "is_write");
const eoiVector = at("eoi", KvmRunEoi, "vector");
const systemEvent = at("system_event", KvmRunSystemEvent, "type");
const suberror = at("internal", KvmRunInternal, "suberror");
const internalCount = at("internal", KvmRunInternal, "ndata");
const internalData = at("internal", KvmRunInternal, "data");
const instructionSize = at("emulation_failure", KvmRunEmulationFailure, "insn_size");
const instructionBytes = at("emulation_failure", KvmRunEmulationFailure, "insn_bytes");
const entryFailure = at("fail_entry", KvmRunFailEntry, "hardware_entry_failure_reason");
const entryCpu = at("fail_entry", KvmRunFailEntry, "cpu");
const maxInternal = 16;
const maxInstruction = 15;
const maxMmio = 8;

/** The shared page of one vCPU. What it says holds from one exit to the next `run`. */
export class RunPage {
  readonly #page: MappedRegisters;

  constructor(mapping: Mapping) {
    this.#page = new MappedRegisters(mapping);
  }

  /** `kvmExitReason` of the last exit. */
  get reason(): number {
    return this.#page.read32(exitReason);
  }

  /** With true, KVM_RUN returns at once (KVM_CAP_IMMEDIATE_EXIT). */
  set immediateExit(value: boolean) {
    this.#page.write8(immediateExit, value ? 1 : 0);
  }

  /** EXIT_IO: the port. */
  get port(): number {
    return this.#page.read16(port);
  }
  /** EXIT_IO: bytes of one access, 1, 2 or 4. */
  get ioWidth(): number {
    return this.#page.read8(ioSize);
  }
  /** EXIT_IO: accesses of a string instruction; 1 otherwise. */
  get ioCount(): number {
    return this.#page.read32(count);
  }
  /** EXIT_IO: the guest writes. */
  get isOut(): boolean {
    return this.#page.read8(direction) === kvmIoDirection.OUT;
  }

  /** EXIT_MMIO: the guest physical address; below 2^52 on every machine there is. */
  get address(): number {
    return this.#page.read32(address) + 2 ** 32 * this.#page.read32(address + 4);
  }
  /** EXIT_MMIO: bytes, 1 to 8. */
  get width(): number {
    return Math.min(this.#page.read32(length), maxMmio);
  }
  /** EXIT_MMIO: the guest writes. */
  get isWrite(): boolean {
    return this.#page.read8(isWrite) !== 0;
  }

  #ioData(index: number, width: number): number {
    return this.#page.read32(dataOffset) + index * width;
  }

  /** EXIT_IO of a write: the data of one access, into `data`, whose length is the width. */
  takeIo(index: number, data: Uint8Array): void {
    this.#take(this.#ioData(index, data.length), data);
  }
  /** EXIT_IO of a read: what the guest is to get. */
  giveIo(index: number, data: Uint8Array): void {
    this.#give(this.#ioData(index, data.length), data);
  }
  /** EXIT_MMIO of a write: the data, into `data`, whose length is the width. */
  takeMmio(data: Uint8Array): void {
    this.#take(mmioData, data);
  }
  /** EXIT_MMIO of a read: what the guest is to get. */
  giveMmio(data: Uint8Array): void {
    this.#give(mmioData, data);
  }

  #take(from: number, data: Uint8Array): void {
    for (let i = 0; i < data.length; i++) data[i] = this.#page.read8(from + i);
  }
  #give(to: number, data: Uint8Array): void {
    for (let i = 0; i < data.length; i++) this.#page.write8(to + i, data[i]!);
  }

  /** EXIT_IOAPIC_EOI, with split interrupt chips: the vector whose level-triggered interrupt the guest has handled. */
  get eoiVector(): number {
    return this.#page.read8(eoiVector);
  }
  /** EXIT_SYSTEM_EVENT: `kvmSystemEvent`. */
  get systemEvent(): number {
    return this.#page.read32(systemEvent);
  }
  /** EXIT_INTERNAL_ERROR: `kvmInternalError`. */
  get suberror(): number {
    return this.#page.read32(suberror);
  }
  /** EXIT_INTERNAL_ERROR: what KVM adds, up to 16 words of 64 bits. */
  get internalData(): bigint[] {
    const length = Math.min(this.#page.read32(internalCount), maxInternal);
    return Array.from({ length }, (_, i) => this.#page.read64(internalData + 8 * i));
  }
  /** EXIT_INTERNAL_ERROR EMULATION: the instruction that KVM cannot emulate, where it says. */
  get instruction(): Uint8Array {
    const bytes = new Uint8Array(Math.min(this.#page.read8(instructionSize), maxInstruction));
    this.#take(instructionBytes, bytes);
    return bytes;
  }
  /** EXIT_FAIL_ENTRY: the processor's own reason, and on which it was. */
  get entryFailure(): { readonly reason: bigint; readonly cpu: number } {
    return { reason: this.#page.read64(entryFailure), cpu: this.#page.read32(entryCpu) };
  }
}
