import { VfioError } from "../../ffi/errors.ts";
import { MappedRegisters } from "../../ffi/mapped-registers.ts";
import { maxViewSize, type Mapping } from "../../ffi/mapping.ts";
import { MemoryFile } from "../../ffi/memory-file.ts";
import { bytesText } from "../address/size-text.ts";
import type { DmaRequest } from "./dma-request.ts";
import type { Iommu } from "../seam/iommu.ts";
import { formatRange, hex } from "../address/range.ts";

/** Where a buffer is to be, and what the device may do with it. */
export interface DmaBufferOptions {
  /** Of the IOVA, in bytes, a power of two; a page without, and 2 MiB for buffers of that size, for the IOMMU's larger pages. */
  readonly alignment?: number | undefined;
  /** Every byte lies below this IOVA: 2 ** 32 for a device that drives 32 address lines. No limit without. */
  readonly below?: number | undefined;
  /** The device may read; true unless given. */
  readonly readable?: boolean | undefined;
  /** The device may write; true unless given. */
  readonly writable?: boolean | undefined;
  /** What it is, for messages: `submission queue 1`. */
  readonly label?: string | undefined;
}

/** What a buffer needs of a `DmaMap`. */
interface DmaSpace {
  readonly iommu: Iommu;
  findIova(size: number, alignment?: number, below?: number): number | undefined;
  map(request: DmaRequest): Disposable;
}

const largePage = 2 ** 21;

/**
 * Memory that a device and this process share; see `DmaMap.allocate`. It is shared memory (a memfd), which fork(2) copies
 * for nobody: the device and this process see the same pages whatever other processes do.
 *
 * The mapping ends with the buffer, or with the address space it lies in, when the last device has left that: then the
 * bytes stay for this process until `dispose`, and no device reaches them.
 */
export class DmaBuffer implements Disposable {
  /** In bytes, as asked for. The rest of the last page is zeros, and the device's too. */
  readonly size: number;
  /** What it is for, in messages. */
  readonly label: string;
  /** Words that a device writes while this process looks, each read from memory anew: a completion's phase bit. */
  readonly registers: MappedRegisters;
  readonly #iova: number;
  readonly #mapped: Disposable;
  readonly #memory: Mapping;
  /** The IOMMU maps the file, which `DmaMap` knows by its number. */
  readonly #file: MemoryFile | undefined;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #view: DataView<ArrayBuffer> | undefined;

  /** See `DmaMap.allocate`. @internal */
  constructor(dma: DmaSpace, size: number, options: DmaBufferOptions = {}) {
    const { below, readable, writable, label = "DMA buffer" } = options;
    if (typeof size !== "number") throw new TypeError(`the size must be a number, not ${typeof size}`);
    if (!Number.isSafeInteger(size) || size < 1 || size > maxViewSize)
      throw new RangeError(`a ${label} has from 1 byte to ${bytesText(maxViewSize)}, not ${size}`);
    const { pageSize, mapsFiles } = dma.iommu;
    const whole = Math.ceil(size / pageSize) * pageSize;
    const alignment = options.alignment ?? (whole < largePage ? pageSize : largePage);
    const iova = dma.findIova(whole, alignment, below);
    if (iova === undefined) throw noRoom(dma.iommu, label, whole, alignment, below);
    using failed = new DisposableStack();
    const file = failed.use(new MemoryFile({ size: whole, name: label }));
    this.#memory = failed.use(file.map());
    this.#mapped = dma.map({
      iova,
      size: whole,
      hva: this.#memory.address,
      readable,
      writable,
      file: { fd: file.fd, offset: 0 },
      label,
    });
    failed.move();
    this.#file = mapsFiles ? file : undefined;
    if (!mapsFiles) file[Symbol.dispose]();
    this.#iova = iova;
    this.size = size;
    this.label = label;
    this.registers = new MappedRegisters(this.#memory, { offset: 0, size });
  }

  /** Where the device finds it. @throws VfioError (`ECLOSED`) after `dispose` */
  get iova(): number {
    void this.hva;
    return this.#iova;
  }

  /** Where the device finds a byte. @param offset from 0 to below `size` @throws RangeError; VfioError (`ECLOSED`) after `dispose` */
  addressAt(offset: number): number {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset >= this.size)
      throw new RangeError(`the offset must be from 0 to ${this.size - 1}, not ${offset}`);
    return this.iova + offset;
  }

  /** Host virtual address. @throws VfioError (`ECLOSED`) after `dispose` */
  get hva(): number {
    return this.#memory.address;
  }

  /** All of it. It has no bytes left after `dispose`. @throws VfioError (`ECLOSED`) after `dispose` */
  get bytes(): Uint8Array<ArrayBuffer> {
    void this.hva;
    return (this.#bytes ??= this.#memory.view(0, this.size));
  }

  /** All of it, for numbers. @throws VfioError (`ECLOSED`) after `dispose` */
  get view(): DataView<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = this.bytes;
    return (this.#view ??= new DataView(buffer, byteOffset, byteLength));
  }

  /**
   * Takes it from the device, then from this process. Safe to call twice.
   * @throws VfioError where the IOMMU does not give it back; it is as it was then, and the next call tries again
   */
  [Symbol.dispose](): void {
    if (this.#memory.closed) return;
    // What stands here must not be unmapped before the device has lost it: it could not be told from other memory again.
    this.#mapped[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
    this.#file?.[Symbol.dispose]();
  }
}

function noRoom(
  { name, ranges }: Iommu,
  label: string,
  size: number,
  alignment: number,
  below?: number,
): VfioError {
  const limit = below === undefined ? "" : ` below ${hex(below)}`;
  return new VfioError(
    `cannot map ${label} (${name}): no ${bytesText(size)} of IOVAs are free${limit}, aligned to ${bytesText(alignment)}`,
    {
      code: "ENOSPC",
      hint: `Unmap something there; the IOMMU allows ${ranges.map(formatRange).join(", ") || "any"}.`,
    },
  );
}
