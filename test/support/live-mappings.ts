// What this library has mapped of this process's memory, by its own system calls. /proc/self/maps alone does not tell: most
// of it is the engine's, which maps and unmaps as it likes.
import { readFileSync } from "node:fs";
import { pageSize } from "../../src/ffi/page-size.ts";
import { traceSyscalls } from "../../src/ffi/trace.ts";

/** Follows mmap(2) and munmap(2) of this thread, page by page, from now on. */
export class LiveMappings implements Disposable {
  /** Calls of mmap that there were. */
  mapped = 0;
  readonly #pages = new Set<number>();
  readonly #trace: Disposable;

  constructor() {
    this.#trace = traceSyscalls(({ name, args, result, errno }) => {
      if (errno !== undefined) return;
      if (name === "mmap") {
        this.mapped++;
        for (const page of pagesOf(Number(result), Number(args[1]))) this.#pages.add(page);
      } else if (name === "munmap")
        for (const page of pagesOf(Number(args[0]), Number(args[1]))) this.#pages.delete(page);
    });
  }

  /** Addresses of the pages that were mapped since and are not unmapped, ascending. */
  get pages(): number[] {
    return [...this.#pages].sort((a, b) => a - b);
  }

  [Symbol.dispose](): void {
    this.#trace[Symbol.dispose]();
  }
}

function* pagesOf(address: number, size: number): Generator<number> {
  for (let page = address; page < address + size; page += pageSize()) yield page;
}

/** Whether /proc/self/maps has a mapping at an address. */
export const isMapped = (address: number): boolean =>
  readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .some((line) => {
      const [start, end] = line.split(/[- ]/, 2).map((text) => Number.parseInt(text, 16));
      return start! <= address && address < end!;
    });
