// Mappings that somebody else asks for: a virtual IOMMU on behalf of the guest, or memory that comes and goes at run time.
import { VfioError } from "../ffi/errors.ts";
import type { Dma, DmaMapping } from "./platform.ts";
import { contains, formatRange, intersects } from "./range.ts";

/** Guest RAM as the VMM has it mapped. */
export interface GuestMemory {
  /**
   * Host virtual address of guest physical memory; undefined unless the whole range lies in one piece of RAM. Neighbours in
   * guest memory need not be neighbours in this process: a range across two of them has no address.
   */
  hostAddress(gpa: number, size: number): number | undefined;
}

/** Device memory that a guest address may stand for, as `VfioPciDevice.hostAddress` finds it. */
export interface MappedDevice {
  hostAddress(gpa: number, size: number): { readonly hva: number; readonly writable: boolean } | undefined;
}

/** What a guest asks its IOMMU for. */
export interface ExternalMapping {
  readonly iova: number;
  readonly gpa: number;
  /** In bytes. */
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

interface Held extends DmaMapping {
  /** The device whose memory it is; undefined for RAM. */
  readonly device: MappedDevice | undefined;
}

/**
 * Maps guest physical ranges for a device's DMA at addresses that the guest chooses. Every range is resolved as a whole
 * inside of one piece of RAM or one mapped area of a BAR, and keeps the access that was asked for.
 */
export class ExternalDma {
  readonly #dma: Dma;
  readonly #memory: GuestMemory;
  readonly #devices: Iterable<MappedDevice>;
  /** By IOVA; a guest may hold many, but one request touches few. */
  readonly #held = new Map<number, Held>();

  /** @param devices whose BARs the guest may name; looked through at each request */
  constructor(dma: Dma, memory: GuestMemory, devices: Iterable<MappedDevice> = []) {
    this.#dma = dma;
    this.#memory = memory;
    this.#devices = devices;
  }

  get mappings(): readonly DmaMapping[] {
    return [...this.#held.values()].map(({ device: _, ...mapping }) => mapping);
  }

  /** @throws VfioError if the range is no single piece of memory, is not writable as asked, or overlaps a mapping */
  map({ iova, gpa, size, readable, writable }: ExternalMapping): void {
    const asked = formatRange({ base: iova, size });
    for (const held of this.#held.values())
      if (intersects({ base: iova, size }, rangeOf(held)))
        throw refuse("EEXIST", `IOVA ${asked} overlaps the mapping ${formatRange(rangeOf(held))}`);
    const found = this.#resolve(gpa, size);
    if (!found)
      throw refuse(
        "EFAULT",
        `guest memory ${formatRange({ base: gpa, size })} is not one piece of RAM or of a mapped BAR`,
      );
    if (writable && !found.writable)
      throw refuse("EACCES", `guest memory ${formatRange({ base: gpa, size })} cannot be written`);
    const { hva, device } = found;
    this.#dma.map({ iova, size, hva, readable, writable });
    this.#held.set(iova, { iova, size, hva, readable, writable, device });
  }

  #resolve(
    gpa: number,
    size: number,
  ): { hva: number; writable: boolean; device: MappedDevice | undefined } | undefined {
    const hva = this.#memory.hostAddress(gpa, size);
    if (hva !== undefined) return { hva, writable: true, device: undefined };
    for (const device of this.#devices) {
      const found = device.hostAddress(gpa, size);
      if (found) return { ...found, device };
    }
    return undefined;
  }

  /**
   * Unmaps every mapping in a range; none is there: nothing happens.
   * @returns bytes unmapped
   * @throws VfioError if the range cuts a mapping in two; nothing is unmapped then
   */
  unmap(iova: number, size: number): number {
    const range = { base: iova, size };
    const inside = [...this.#held.values()].filter((held) => intersects(range, rangeOf(held)));
    const cut = inside.find((held) => !contains(range, held.iova, held.size));
    if (cut)
      throw refuse(
        "EINVAL",
        `IOVA ${formatRange(range)} cuts the mapping ${formatRange(rangeOf(cut))} in two`,
      );
    return inside.reduce((bytes, held) => bytes + this.#drop(held), 0);
  }

  /** Unmaps all memory of a device that is about to be detached. @returns bytes unmapped */
  forget(device: MappedDevice): number {
    const theirs = [...this.#held.values()].filter((held) => held.device === device);
    return theirs.reduce((bytes, held) => bytes + this.#drop(held), 0);
  }

  #drop(held: Held): number {
    this.#dma.unmap(held.iova, held.size);
    this.#held.delete(held.iova);
    return held.size;
  }
}

const rangeOf = ({ iova, size }: DmaMapping): { base: number; size: number } => ({ base: iova, size });
const refuse = (code: string, message: string): VfioError => new VfioError(message, { code });
