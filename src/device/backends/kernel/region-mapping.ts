import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { MappedRegisters } from "../../../ffi/mapped-registers.ts";
import { hugeAlignment, Mapping, type MappingOptions } from "../../../ffi/mapping.ts";
import type { RegionMapping } from "../../seam/backend.ts";

export interface KernelMappingOptions {
  readonly mapping: MappingOptions;
  /** Makes a dma-buf of the same memory; undefined where the kernel has none. */
  readonly exportDmaBuf: () => number | undefined;
  /** Hears of its end, once. */
  readonly onDispose: (mapping: KernelMapping) => void;
}

/**
 * Region memory of a device in this process. Touching it while the device does not decode ends the process; see
 * `KernelDevice`. `dispose` unmaps it.
 */
export class KernelMapping implements RegionMapping {
  readonly size: number;
  /** For people who drive the device: `registers` is the way to touch it. */
  readonly mapping: Mapping;
  /** Its registers, each touched by one access of its width. */
  readonly registers: MappedRegisters;
  readonly #options: KernelMappingOptions;
  /** `null` where there is none; undefined before it is asked for. */
  #dmaBuf: FileDescriptor | null | undefined;

  /**
   * Maps at an address where the kernel can use pages of 2 MiB and 1 GiB: a BAR is aligned to its size on the bus, and a
   * region begins at a multiple of that in the device file.
   * @throws VfioError
   */
  constructor(options: KernelMappingOptions) {
    const { size } = options.mapping;
    this.mapping = new Mapping({ ...options.mapping, alignment: hugeAlignment(size) });
    this.registers = new MappedRegisters(this.mapping);
    this.size = size;
    this.#options = options;
  }

  /** @throws VfioError (`ECLOSED`) after `dispose` */
  get hva(): number {
    return this.mapping.address;
  }

  /**
   * A dma-buf of the same memory, made when first asked for and closed by `dispose`; undefined where the kernel has none.
   * @throws VfioError where it does not make this one, and (`ECLOSED`) after `dispose`
   */
  get dmaBuf(): number | undefined {
    void this.hva;
    if (this.#dmaBuf === undefined) {
      const fd = this.#options.exportDmaBuf();
      this.#dmaBuf = fd === undefined ? null : new FileDescriptor(fd, `dma-buf of ${this.mapping.name}`);
    }
    return this.#dmaBuf?.fd;
  }

  /** Unmaps. Safe to call twice; registers are refused afterwards, but not whoever kept `hva`. */
  [Symbol.dispose](): void {
    if (this.mapping.closed) return;
    this.mapping[Symbol.dispose]();
    this.#dmaBuf?.[Symbol.dispose]();
    this.#options.onDispose(this);
  }
}
