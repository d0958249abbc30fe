import { KernelDevice, RegionIndex, RegionRegisters, type DeviceBackend } from "bun-vfio";
import { waitReadable, type Eventfd } from "bun-vfio/ffi";
import { endpointHeader, type Live } from "bun-vfio/regs";
import { dmaDone, eduMap, ownMemory } from "./registers.ts";

/** How long the device may take for anything, in ms. It computes in software, on a host that may be busy. */
export const patience = 10_000;

/** A driver of QEMU's edu device. `dispose` stops its DMA and unmaps its registers; the device stays the caller's. */
export class Edu implements Disposable {
  readonly registers: Live<typeof eduMap.registers>;
  readonly #command: Live<typeof endpointHeader.registers>["command"];
  readonly #bar: Disposable | undefined;

  /** @param device of this host, or any other for tests: one in TypeScript behind a socket @throws Error where it is another */
  constructor(device: DeviceBackend) {
    this.#command = endpointHeader.live(new RegionRegisters(device, RegionIndex.config)).command;
    // Before anything touches the mapping: what reads a BAR that the device does not decode is killed by a SIGBUS.
    this.#command.modify({ memorySpace: true });
    const bar = device instanceof KernelDevice ? device.map(0, { offset: 0, size: eduMap.size }) : undefined;
    this.#bar = bar;
    // A device in TypeScript has no memory to map: it answers each access.
    this.registers = eduMap.live(bar?.registers ?? new RegionRegisters(device, RegionIndex.bar0));
    const { magic, major } = this.registers.identification.read();
    if (magic !== 0xed || major !== 1) {
      this[Symbol.dispose]();
      throw new Error(`${device.name} is no edu device of version 1`);
    }
    // What was raised for somebody else: the device has no reset, and would hold its line for ever.
    this.acknowledge(this.registers.causes.read());
    // DMA and message-signaled interrupts, which are memory writes too. Last, when there is somebody who knows the device.
    this.#command.modify({ busMaster: true, interruptDisable: false });
  }

  /** The factorial of `n`, modulo 2^32, asking until it is there. */
  factorial(n: number): number {
    this.registers.status.modify({ interruptWhenDone: false });
    this.registers.factorial.write(n);
    const end = performance.now() + patience;
    // Every loop on a device's answer has an end: it may never come.
    while (this.registers.status.read().computing) {
      if (performance.now() > end) throw new Error(`edu still computes after ${patience} ms`);
      Bun.sleepSync(1);
    }
    return this.registers.factorial.read();
  }

  /** The factorial of `n`, modulo 2^32, waiting for the interrupt. */
  factorialByInterrupt(n: number, vector: Eventfd): number {
    this.registers.status.modify({ interruptWhenDone: true });
    this.registers.factorial.write(n);
    this.#finish(vector, 1);
    return this.registers.factorial.read();
  }

  /** Moves memory to the device's own, or back, and waits for the interrupt. @param iova of the memory @param size in bytes, up to 4096 */
  transfer(direction: "to device" | "to memory", iova: number, size: number, vector: Eventfd): void {
    // The device does not check this, but ends its host.
    if (size > ownMemory.size) throw new RangeError(`edu moves ${ownMemory.size} bytes at most, not ${size}`);
    const toMemory = direction === "to memory";
    this.registers.dmaSource.write(toMemory ? ownMemory.address : iova);
    this.registers.dmaDestination.write(toMemory ? iova : ownMemory.address);
    this.registers.dmaBytes.write(size);
    // The last write starts it. All writes before it have arrived by then, those to the memory that it reads too.
    this.registers.dma.modify({ run: true, toMemory, interruptWhenDone: true });
    this.#finish(vector, dmaDone);
  }

  /** Takes an interrupt back, by its cause. */
  acknowledge(cause: number): void {
    this.registers.acknowledge.write(cause);
  }

  #finish(vector: Eventfd, cause: number): void {
    if (!waitReadable(vector.fd, patience)) throw new Error(`no interrupt from edu after ${patience} ms`);
    vector.drain();
    const causes = this.registers.causes.read();
    this.acknowledge(causes);
    if (causes !== cause)
      throw new Error(`edu interrupts for 0x${causes.toString(16)}, not for 0x${cause.toString(16)}`);
  }

  /** The device must not write memory that is somebody else's next, so bus mastering goes first. */
  [Symbol.dispose](): void {
    using order = new DisposableStack();
    order.use(this.#bar);
    order.defer(() => this.#command.modify({ busMaster: false }));
  }
}
