import type { MsixArea } from "../pci/msix-geometry.ts";

/** The MSI-X table, which vfio-pci keeps away from its user: reads of it give ones, writes nothing. */
export class HiddenTable {
  readonly #area: MsixArea | undefined;

  constructor(area: MsixArea | undefined) {
    this.#area = area;
  }

  /** Whether an access reaches into it. Asked at each access: most do not, and nothing is made for them. */
  isIn(region: number, offset: number, size: number): boolean {
    const area = this.#area;
    return area?.region === region && offset < area.offset + area.size && offset + size > area.offset;
  }

  /** Which bytes of an access that reaches into it are its. */
  part(offset: number, size: number): [from: number, to: number] {
    const area = this.#area!;
    return [Math.max(0, area.offset - offset), Math.min(size, area.offset + area.size - offset)];
  }

  /** How many bytes of an access are not its. */
  rest(region: number, offset: number, size: number): number {
    if (!this.isIn(region, offset, size)) return size;
    const [from, to] = this.part(offset, size);
    return size - (to - from);
  }
}
