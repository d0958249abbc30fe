// What this process holds: descriptors, mappings of this library's making, threads.
import { readdirSync } from "node:fs";
import { traceSyscalls } from "../../src/ffi/trace.ts";
import { openDescriptors } from "./descriptors.ts";

interface Held {
  readonly descriptors: number;
  readonly mappings: number;
  readonly threads: number;
}

/** Threads that the engine begins and ends as it likes. */
const enginesOwn = 8;

const isMore = (now: Held, before: Held): boolean =>
  now.descriptors > before.descriptors ||
  now.mappings > before.mappings ||
  now.threads > before.threads + enginesOwn;

/** What this process holds, taken twice and compared. */
export class Holdings implements Disposable {
  readonly #mapped = new Map<number, number>();
  readonly #trace: Disposable;

  constructor() {
    this.#trace = traceSyscalls(({ name, args, result, errno }) => {
      if (errno !== undefined) return;
      if (name === "mmap") this.#mapped.set(Number(result), Number(args[1]));
      else if (name === "munmap") this.#mapped.delete(Number(args[0]));
    });
  }

  get now(): Held {
    return {
      descriptors: openDescriptors().length,
      mappings: this.#mapped.size,
      threads: readdirSync("/proc/self/task").length,
    };
  }

  /** Waits for what the event loop closes by itself. @throws Error for anything that is left over `before` */
  async expect(before: Held, after: string): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (!isMore(this.now, before)) return;
      await Bun.sleep(5);
    }
    throw new Error(`left after ${after}: ${JSON.stringify(this.now)}, before: ${JSON.stringify(before)}`);
  }

  [Symbol.dispose](): void {
    this.#trace[Symbol.dispose]();
  }
}
