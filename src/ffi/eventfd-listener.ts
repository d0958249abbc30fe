import { fcntlCommand, openFlag } from "./constants.ts";
import { watchReadable } from "./epoll-loop.ts";
import { VfioError } from "./errors.ts";
import { drainEventfd } from "./eventfd.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { systemCalls, systemError } from "./system-calls.ts";

/** How to listen. */
export interface ListenOptions {
  /**
   * `"stream"`: Bun's event loop waits, with no thread of its own; the fastest that leaves the event loop free.
   * `"worker"`: one thread with epoll for all, and a message for each event. Without it the first, and the second should
   * the first fail.
   */
  readonly via?: "stream" | "worker";
  /** Whether the process lives on for the sake of this listener; yes without. `false` goes by way of the worker. */
  readonly keepAlive?: boolean;
}

/**
 * Calls back with the events of an eventfd, on the event loop. Owned: `dispose` ends it and closes what it opened. The
 * eventfd itself stays its owner's, who may close it first.
 */
export class EventfdListener implements Disposable {
  readonly #fd: FileDescriptor;
  readonly #onEvents: (count: number) => void;
  readonly #keepAlive: boolean;
  #via: "stream" | "worker";
  #stop: (() => void) | undefined;
  /** From the beginning of `dispose`: ending a stream runs what waits for it, before the descriptor is closed. */
  #isEnding = false;

  /**
   * @param eventfd a descriptor of an eventfd that is nonblocking
   * @param onEvents gets the events since its last call, 1 or more. What it throws is an uncaught exception
   * @throws VfioError: EINVAL for one that blocks
   */
  constructor(eventfd: number, onEvents: (count: number) => void, options: ListenOptions = {}) {
    this.#onEvents = onEvents;
    this.#keepAlive = options.keepAlive ?? true;
    this.#via = options.via ?? (this.#keepAlive ? "stream" : "worker");
    if (this.#via === "stream" && !this.#keepAlive)
      throw new RangeError('keepAlive: false needs via: "worker": a stream keeps the process alive');
    // One of its own: the owner may close the other while Bun or the thread still waits.
    this.#fd = FileDescriptor.duplicate(eventfd, "the eventfd");
    try {
      requireNonblocking(this.#fd.fd);
      this.#start(options.via);
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  /** How it waits. */
  get via(): "stream" | "worker" {
    return this.#via;
  }

  #start(asked: "stream" | "worker" | undefined): void {
    if (this.#via === "worker") this.#watch();
    else
      void this.#stream().catch((error: unknown) => {
        if (this.#isEnding) return;
        // Bun documents no streams of eventfds. Should one end or fail, the thread goes on where it stopped.
        if (asked === "stream")
          throw new VfioError("the stream of the eventfd failed", { code: "ESTREAM", cause: error });
        this.#via = "worker";
        this.#watch();
      });
  }

  async #stream(): Promise<void> {
    const reader = Bun.file(this.#fd.fd).stream().getReader();
    this.#stop = () => void reader.cancel().catch(() => {});
    for (;;) {
      const { done, value } = await reader.read();
      if (this.#isEnding) return;
      if (done) throw new VfioError("the stream of the eventfd ended", { code: "ESTREAM" });
      this.#deliver(counted(value));
    }
  }

  #watch(): void {
    const watch = watchReadable({
      fd: this.#fd.fd,
      keepsAlive: this.#keepAlive,
      onReady: () => this.#deliver(drainEventfd(this.#fd.fd)),
    });
    this.#stop = () => watch[Symbol.dispose]();
  }

  #deliver(count: number): void {
    if (count === 0) return;
    try {
      this.#onEvents(count);
    } catch (error) {
      // Not the wait's failure: it goes on, and the exception surfaces like that of any other event.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** No call follows. Events that were not delivered stay in the eventfd. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#stop?.();
    this.#fd[Symbol.dispose]();
  }
}

/**
 * The events of an eventfd, one by one as they come: each value is their number since the last. Leaving the loop closes
 * what was opened for it.
 * @example for await (const count of eventfdEvents(eventfd.fd)) handle(count);
 */
export async function* eventfdEvents(eventfd: number, options?: ListenOptions): AsyncGenerator<number, void> {
  let waiting = 0;
  let wake = (): void => {};
  using _ = new EventfdListener(
    eventfd,
    (count) => {
      waiting += count;
      wake();
    },
    options,
  );
  for (;;) {
    if (waiting === 0) await new Promise<void>((resolve) => (wake = resolve));
    const count = waiting;
    waiting = 0;
    yield count;
  }
}

/** The sum of the counters, 8 bytes each, that a chunk of a stream consists of. */
function counted(chunk: Uint8Array): number {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let sum = 0;
  for (let at = 0; at + 8 <= chunk.length; at += 8) sum += Number(view.getBigUint64(at, true));
  return sum;
}

function requireNonblocking(fd: number): void {
  const flags = systemCalls().fcntl(fd, fcntlCommand.GETFL, 0);
  if (flags < 0) throw systemError("fcntl", -flags, "the eventfd");
  if ((flags & openFlag.NONBLOCK) === 0)
    throw new VfioError("the eventfd blocks", {
      code: "EINVAL",
      hint: "Create it with EFD_NONBLOCK, as `Eventfd` does: the event loop must not stand still.",
    });
}
