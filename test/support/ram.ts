import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";
import type { MemoryContents } from "../../src/kvm/memory-image.ts";

/** Memory of a guest, without a guest. */
export class Ram implements MemoryContents, Disposable {
  readonly size: number;
  readonly #memory: AnonymousMemory[];
  readonly parts: readonly { readonly gpa: number; readonly size: number }[];

  constructor(...sizes: readonly number[]) {
    this.parts = sizes.map((size, i) => ({ gpa: i * 2 ** 32, size }));
    this.#memory = sizes.map((size) => new AnonymousMemory(size));
    this.size = sizes.reduce((sum, size) => sum + size, 0);
  }
  view(gpa: number, size: number): Uint8Array<ArrayBuffer> {
    return this.#memory[Math.floor(gpa / 2 ** 32)]!.view(gpa % 2 ** 32, size);
  }
  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}
