import { MappedRegisters } from "../../ffi/mapped-registers.ts";
import { hugeAlignment, Mapping, type MappingOptions } from "../../ffi/mapping.ts";
import type { RegionMapping } from "../backend.ts";

/**
 * Region memory of a device in this process. Touching it while the device does not decode ends the process; see
 * `KernelDevice`. `dispose` unmaps it.
 */
export class KernelMapping implements RegionMapping {
  readonly size: number;
  /** For people who drive the device: `registers` is the way to touch it. */
  readonly mapping: Mapping;
  readonly registers: MappedRegisters;
  readonly #onDispose: (mapping: KernelMapping) => void;

  /**
   * Maps at an address where the kernel can use pages of 2 MiB and 1 GiB: a BAR is aligned to its size on the bus, and a
   * region begins at a multiple of that in the device file.
   * @throws VfioError @param onDispose hears of it once
   */
  constructor(options: MappingOptions, onDispose: (mapping: KernelMapping) => void) {
    this.mapping = new Mapping({ ...options, alignment: hugeAlignment(options.size) });
    this.registers = new MappedRegisters(this.mapping);
    this.size = options.size;
    this.#onDispose = onDispose;
  }

  /** @throws VfioError (`ECLOSED`) after `dispose` */
  get hva(): number {
    return this.mapping.address;
  }

  /** Unmaps. Safe to call twice; registers are refused afterwards, but not whoever kept `hva`. */
  [Symbol.dispose](): void {
    if (this.mapping.closed) return;
    this.mapping[Symbol.dispose]();
    this.#onDispose(this);
  }
}
