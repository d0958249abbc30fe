// QEMU's edu device (docs/specs/edu.rst): its DMA engine moves up to 4096 bytes between memory and a buffer of its own.
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import type { KernelMapping } from "../../../../src/device/backends/kernel/region-mapping.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import { pageSize } from "../../../../src/ffi/page-size.ts";

const acknowledge = 0x64;
const register = { source: 0x80, destination: 0x88, count: 0x90, command: 0x98 } as const;
const run = 1;
const toMemory = 2;
/** Of the device's own buffer, as its engine sees it. */
const ownBuffer = 0x40000;
export const ownBufferSize = 4096;
/** The engine drives 28 address lines. */
export const addressLimit = 2 ** 28;

/**
 * Takes back every interrupt that was left to it, also by a test before: it has no reset, and its line stays up as long as
 * there is one. Memory decoding is off afterwards.
 */
export function quieten(device: KernelDevice): void {
  device.write(RegionIndex.config, 4, Uint8Array.of(2, 0));
  device.write(0, acknowledge, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
  device.write(RegionIndex.config, 4, Uint8Array.of(0, 0));
}

export class Edu implements Disposable {
  readonly #bar: KernelMapping;

  /** Turns on memory decoding and bus mastering; `dispose` unmaps its BAR and leaves the device open. */
  constructor(device: KernelDevice) {
    device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
    this.#bar = device.map(0, { offset: 0, size: pageSize() });
  }

  /** Memory to its own buffer. @param size in bytes, up to `ownBufferSize` */
  load(iova: number, size: number): void {
    this.#move(iova, ownBuffer, size, run);
  }

  /** Its own buffer to memory. @param size in bytes, up to `ownBufferSize` */
  store(iova: number, size: number): void {
    this.#move(ownBuffer, iova, size, run | toMemory);
  }

  #move(source: number, destination: number, size: number, command: number): void {
    // QEMU itself ends where a move leaves the device's buffer.
    if (size > ownBufferSize) throw new RangeError(`${size} bytes are more than its buffer holds`);
    const { registers } = this.#bar;
    registers.write32(register.source, source);
    registers.write32(register.destination, destination);
    registers.write32(register.count, size);
    registers.write32(register.command, command);
    for (let i = 0; i < 1000; i++) {
      if ((registers.read32(register.command) & run) === 0) return;
      Bun.sleepSync(10);
    }
    throw new Error("edu's DMA does not end");
  }

  [Symbol.dispose](): void {
    this.#bar[Symbol.dispose]();
  }
}
