import { VfioError } from "../../../ffi/errors.ts";
import { AnonymousMemory } from "../../../ffi/anonymous-memory.ts";
import type { DeviceImage } from "../../../image/image.ts";
import { pageSize } from "../../function/hosted-function.ts";
import type { RegionSpaces } from "../../function/region-spaces.ts";
import type { RegionArea } from "../../../regs/vfio/regions.ts";
import type { RegionMapping } from "../../seam/backend.ts";

/**
 * What lies behind the regions: memory of this process, with the recorded contents, zeros where there are none. A region
 * gets its memory when it is first touched, and pages once they are: a BAR of many gigabytes costs what is used of it.
 */
export class RecordedMemory implements RegionSpaces {
  readonly #image: DeviceImage;
  readonly #regions = new Map<number, AnonymousMemory>();
  /** Mappings that are not disposed of yet. */
  #mapped = 0;
  #closed = false;

  constructor(image: DeviceImage) {
    this.#image = image;
  }

  read(region: number, offset: number, data: Uint8Array): void {
    this.#of(region).read(offset, data);
  }
  write(region: number, offset: number, data: Uint8Array): void {
    this.#of(region).write(offset, data);
  }

  /** @throws VfioError: EINVAL for an absent region, ENOMEM where the address space has no room */
  #of(region: number): AnonymousMemory {
    return this.#regions.get(region) ?? this.#make(region);
  }

  #make(region: number): AnonymousMemory {
    const { size = 0 } = this.#image.regions.find(({ index }) => index === region) ?? {};
    if (size === 0) throw new VfioError(`region ${region} is absent`, { code: "EINVAL", errno: 22 });
    // Whole pages, so that the end of a small BAR can be mapped like any other.
    const memory = new AnonymousMemory(Math.ceil(size / pageSize) * pageSize);
    this.#regions.set(region, memory);
    this.#fill(region, memory);
    return memory;
  }

  /** Memory stays until the last mapping is disposed of, as the kernel's does. */
  map(region: number, area: RegionArea): RegionMapping {
    const hva = this.#of(region).address + area.offset;
    let isMapped = true;
    this.#mapped++;
    return {
      hva,
      size: area.size,
      [Symbol.dispose]: () => {
        if (!isMapped) return;
        isMapped = false;
        this.#mapped--;
        this.#release();
      },
    };
  }

  /** Contents begin again, at the addresses where they are. */
  restart(): void {
    for (const [region, memory] of this.#regions) {
      memory.clear();
      this.#fill(region, memory);
    }
  }

  #fill(region: number, memory: AnonymousMemory): void {
    const { contents } = this.#image.regions.find(({ index }) => index === region) ?? {};
    for (const { offset, bytes } of contents ?? []) memory.write(offset, bytes);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#release();
  }

  #release(): void {
    if (!this.#closed || this.#mapped > 0) return;
    for (const memory of this.#regions.values()) memory[Symbol.dispose]();
    this.#regions.clear();
  }
}
