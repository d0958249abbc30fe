// What a run of conversations comes to, and what must not be left of it.
import { readdirSync } from "node:fs";
import { commandName } from "../../../src/device/vfio-user/messages/header.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { openDescriptors } from "../../support/descriptors.ts";

/** How many conversations, and which. */
export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** Hears how far it is, now and then. */
  readonly onProgress?: (done: number) => void;
}

/** Counts of one run. */
export class FuzzReport {
  conversations = 0;
  messages = 0;
  /** Connections that ended for what was said. */
  ended = 0;
  /** Accesses of memory that were compared with what is mapped. */
  checked = 0;
  /** How often a command was done, by number. */
  readonly done = new Map<number, number>();

  count(command: number): void {
    this.done.set(command, (this.done.get(command) ?? 0) + 1);
  }

  /** Commands that were done less often. */
  below(least: number, commands: readonly number[]): string[] {
    return commands
      .filter((command) => (this.done.get(command) ?? 0) < least)
      .map((command) => `${commandName(command)} ${this.done.get(command) ?? 0}`);
  }

  /** For people. */
  text(side: string, seed: number): string {
    const done = [...this.done]
      .sort(([a], [b]) => a - b)
      .map(([one, times]) => `${commandName(one)} ${times}`);
    return (
      `${side}: seed ${seed}, ${this.conversations} conversations, ${this.messages} messages, ${this.ended} connections ended, ` +
      `${this.checked} accesses of memory compared\n  done: ${done.join(", ")}`
    );
  }
}

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
