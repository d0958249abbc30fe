import { memoryAdvice } from "./constants.ts";
import { Mapping } from "./mapping.ts";

/** Page-aligned memory of this process, all zeros at first; pages exist once they are touched (mmap(2)). Owned: `dispose` unmaps it. */
export class AnonymousMemory extends Mapping {
  /** @param size in bytes, at least 1 @throws VfioError where the address space has no room */
  constructor(size: number) {
    super({ size, name: "memory" });
  }

  /** All zeros again, and the pages given back. Addresses stay as they are. @throws VfioError */
  clear(): void {
    this.advise(memoryAdvice.DONTNEED);
  }
}
