import { getPhysicalAddress } from "../../../ffi/iommufd-ioas.ts";
import type { MappedRegisters } from "../../../ffi/mapped-registers.ts";
import type { DmaBuffer } from "../../dma/dma-buffer.ts";
import type { Ioas } from "./ioas.ts";

/** A part of a buffer that is in one piece. Numbers are in bytes. */
export interface PhysicalPiece {
  /** In the buffer. */
  readonly offset: number;
  /** Of the host's physical memory: what the device sends on the bus. */
  readonly address: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * Memory for a device without an IOMMU, by its true addresses (Linux 7.3: IOMMU_IOAS_NOIOMMU_GET_PA). Nothing keeps such a device from
 * other memory: an address that is told wrong, or after the buffer's end, is written all the same.
 */
export class PhysicalMemory {
  readonly #ioas: Ioas;

  /** Of one address space. @param ioas that the device is attached to: what is mapped there is pinned, and stays where it is */
  constructor(ioas: Ioas) {
    this.#ioas = ioas;
  }

  /**
   * @param size in bytes, from 1 on; whole pages are taken, each in one piece
   * @param label what it is, for messages
   * @throws VfioError ENOMEM beyond what the process may lock; RangeError for a size that no buffer has
   */
  allocate(size: number, { label }: { readonly label?: string | undefined } = {}): PhysicalBuffer {
    using failed = new DisposableStack();
    const memory = failed.use(this.#ioas.dma.allocate(size, { label }));
    const buffer = new PhysicalBuffer(memory, piecesOf(this.#ioas, memory));
    failed.move();
    return buffer;
  }
}

/** Memory that a device without an IOMMU and this process share; see `PhysicalMemory.allocate`. */
export class PhysicalBuffer implements Disposable {
  /** In order, without gaps; neighbours that are one piece are one. */
  readonly pieces: readonly PhysicalPiece[];
  readonly #memory: DmaBuffer;

  /** @internal */
  constructor(memory: DmaBuffer, pieces: readonly PhysicalPiece[]) {
    this.#memory = memory;
    this.pieces = Object.freeze(pieces);
  }

  /** In bytes, as asked for. */
  get size(): number {
    return this.#memory.size;
  }
  /** All of it. @throws VfioError (`ECLOSED`) after `dispose` */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#memory.bytes;
  }
  /** All of it, for numbers. @throws VfioError (`ECLOSED`) after `dispose` */
  get view(): DataView<ArrayBuffer> {
    return this.#memory.view;
  }
  /** Words that a device writes while this process looks, each read from memory anew. */
  get registers(): MappedRegisters {
    return this.#memory.registers;
  }

  /** Where the device finds a byte. @param offset from 0 to below `size` @throws RangeError; VfioError (`ECLOSED`) after `dispose` */
  addressAt(offset: number): number {
    void this.#memory.hva;
    const piece = this.pieces.findLast((one) => one.offset <= offset);
    if (!piece || !Number.isSafeInteger(offset) || offset >= this.size)
      throw new RangeError(`the offset must be from 0 to ${this.size - 1}, not ${offset}`);
    return piece.address + offset - piece.offset;
  }

  /** Gives the memory back. The device must have stopped using it: nothing else keeps it out. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

function piecesOf({ iommufd, id }: Ioas, { iova, size }: DmaBuffer): PhysicalPiece[] {
  const pieces: PhysicalPiece[] = [];
  for (let offset = 0; offset < size;) {
    const found = getPhysicalAddress(iommufd.fd, id, iova + offset, size - offset, { device: "iommufd" });
    const [address, length] = [Number(found.address), Math.min(Number(found.length), size - offset)];
    if (!Number.isSafeInteger(address) || length < 1)
      throw new RangeError(`no such physical address: ${found.address}`);
    const last = pieces.at(-1);
    if (last && last.address + last.size === address)
      pieces[pieces.length - 1] = { ...last, size: last.size + length };
    else pieces.push({ offset, address, size: length });
    offset += length;
  }
  return pieces;
}
