// An IOMMU in memory, as strict as the kernel's: type1 v2 and an IOAS answer the same to these calls, which the
// suite in the virtual machine checks against both.
import type { Iommu, IommuMapping } from "../../src/device/seam/iommu.ts";
import { contains, intersects, type Range } from "../../src/device/address/range.ts";
import { VfioError } from "../../src/ffi/errors.ts";

export interface MemoryIommuOptions {
  readonly ranges?: readonly Range[] | undefined;
  readonly maxMappings?: number | undefined;
  readonly pageSize?: number | undefined;
  readonly mapsFiles?: boolean | undefined;
  readonly mapsDeviceMemory?: boolean | undefined;
  readonly exclusive?: boolean | undefined;
}

export class MemoryIommu implements Iommu {
  readonly name = "IOMMU in memory";
  readonly pageSize: number;
  readonly ranges: readonly Range[];
  readonly maxMappings: number | undefined;
  readonly accountsMemlock = true;
  readonly mapsFiles: boolean;
  readonly mapsDeviceMemory: boolean;
  readonly exclusive: boolean;
  readonly mapped = new Map<number, IommuMapping>();
  /** Every call that took effect, in order. */
  readonly calls: string[] = [];
  /** What the next call that reaches the IOMMU fails with. */
  failNext: VfioError | undefined;

  constructor(options: MemoryIommuOptions = {}) {
    this.pageSize = options.pageSize ?? 4096;
    this.ranges = options.ranges ?? [
      { base: 0, size: 0xfee0_0000 },
      { base: 0xfef0_0000, size: 2 ** 39 - 0xfef0_0000 },
    ];
    this.maxMappings = options.maxMappings;
    this.mapsFiles = options.mapsFiles ?? false;
    this.mapsDeviceMemory = options.mapsDeviceMemory ?? true;
    this.exclusive = options.exclusive ?? true;
  }

  #fail(): void {
    const error = this.failNext;
    this.failNext = undefined;
    if (error) throw error;
  }

  map(mapping: IommuMapping): void {
    this.#fail();
    const range = { base: mapping.iova, size: mapping.size };
    if ([mapping.iova, mapping.size, mapping.hva].some((value) => value % this.pageSize !== 0))
      throw new VfioError("unaligned", { code: "EINVAL" });
    if (!this.ranges.some((allowed) => contains(allowed, range.base, range.size)))
      throw new VfioError("out of range", { code: "EINVAL" });
    for (const { iova, size } of this.mapped.values())
      if (intersects(range, { base: iova, size })) throw new VfioError("overlap", { code: "EEXIST" });
    if (this.mapped.size >= (this.maxMappings ?? Infinity)) throw new VfioError("full", { code: "ENOSPC" });
    this.mapped.set(mapping.iova, mapping);
    this.calls.push(`map ${mapping.iova.toString(16)}+${mapping.size.toString(16)}`);
  }

  unmap(iova: number, size: number): number {
    this.#fail();
    const range = { base: iova, size };
    const inside = [...this.mapped.values()].filter((held) =>
      intersects(range, { base: held.iova, size: held.size }),
    );
    if (inside.some((held) => !contains(range, held.iova, held.size)))
      throw new VfioError("cut", { code: "EINVAL" });
    for (const held of inside) this.mapped.delete(held.iova);
    this.calls.push(`unmap ${iova.toString(16)}+${size.toString(16)}`);
    return inside.reduce((bytes, held) => bytes + held.size, 0);
  }

  unmapAll(): number {
    this.#fail();
    const bytes = [...this.mapped.values()].reduce((sum, { size }) => sum + size, 0);
    this.mapped.clear();
    this.calls.push("unmap all");
    return bytes;
  }

  [Symbol.dispose](): void {
    this.mapped.clear();
  }
}
