import { epollFlag, epollOperation } from "./constants.ts";
import { epollEvent } from "./epoll-event.ts";
import { VfioError } from "./errors.ts";
import { Eventfd } from "./eventfd.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { systemCalls, systemError } from "./system-calls.ts";
import { workerModule } from "./worker-module.ts";

const closeOnExec = 0o2000000; // EPOLL_CLOEXEC
const stop = 0;

interface Entry {
  readonly fd: number;
  readonly onReady: () => void;
  readonly keepsAlive: boolean;
}

/**
 * One thread that waits with epoll(7) for many descriptors and tells this one. The thread lives while there is something to
 * wait for, and a moment longer. A descriptor is reported once and then watched again, so nothing piles up while this thread is busy.
 */
class EpollLoop {
  readonly #entries = new Map<number, Entry>();
  readonly #epoll: FileDescriptor;
  readonly #stop: Eventfd;
  readonly #worker: Worker;
  #next = stop + 1;

  constructor(onFailure: (error: VfioError) => void) {
    using failed = new DisposableStack();
    this.#stop = failed.use(new Eventfd());
    const fd = systemCalls().epoll_create1(closeOnExec);
    if (fd < 0) throw systemError("epoll_create1", -fd, "the epoll thread");
    this.#epoll = failed.use(new FileDescriptor(fd, "the epoll thread"));
    this.#control(epollOperation.ADD, this.#stop.fd, epollFlag.IN, stop);
    this.#worker = new Worker(workerModule("epoll-worker", import.meta.url), { ref: false });
    failed.move();
    this.#worker.addEventListener("message", ({ data }: MessageEvent<number[]>) => {
      for (const value of data) this.#report(value);
    });
    this.#worker.addEventListener("error", ({ message }) => {
      onFailure(new VfioError(`the epoll thread fails: ${message}`, { code: "EWORKER" }));
    });
    // The thread has left epoll_wait by then: no number is closed under it.
    this.#worker.addEventListener("close", () => this.#close());
    this.#worker.postMessage(this.#epoll.fd);
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** @returns a value for `remove` @throws VfioError, as EPERM for what cannot be waited for */
  add(entry: Entry): number {
    const value = this.#next++;
    this.#control(epollOperation.ADD, entry.fd, epollFlag.IN | epollFlag.ONESHOT, value);
    this.#entries.set(value, entry);
    this.#updateRef();
    return value;
  }

  /** The descriptor may be closed afterwards. */
  remove(value: number): void {
    const entry = this.#entries.get(value);
    if (!entry) return;
    this.#entries.delete(value);
    // What stays is reported once at most, and to nobody.
    this.#ask(epollOperation.DEL, entry.fd, 0, value);
    this.#updateRef();
  }

  /** Ends the thread; closes what was opened once it has ended. */
  end(): void {
    this.#stop.signal();
  }

  #report(value: number): void {
    const entry = this.#entries.get(value);
    if (!entry) return;
    try {
      entry.onReady();
    } finally {
      if (this.#entries.has(value))
        this.#control(epollOperation.MOD, entry.fd, epollFlag.IN | epollFlag.ONESHOT, value);
    }
  }

  #updateRef(): void {
    if ([...this.#entries.values()].some(({ keepsAlive }) => keepsAlive)) this.#worker.ref();
    else this.#worker.unref();
  }

  #control(operation: number, fd: number, flags: number, value: number): void {
    const result = this.#ask(operation, fd, flags, value);
    if (result < 0) throw systemError("epoll_ctl", -result, `descriptor ${fd}`);
  }

  #ask(operation: number, fd: number, flags: number, value: number): number {
    return systemCalls().epoll_ctl(this.#epoll.fd, operation, fd, epollEvent(flags, value));
  }

  #close(): void {
    this.#epoll[Symbol.dispose]();
    this.#stop[Symbol.dispose]();
  }
}

let loop: EpollLoop | undefined;
/** Until the thread of a loop that waits for nothing ends. */
let idle: ReturnType<typeof setTimeout> | undefined;
/** A thread takes tens of milliseconds to begin and to end: who listens again soon gets the one that is there. */
const lingering = 100;

/**
 * Waits for a descriptor on the shared thread.
 * @param entry `onReady` is called on this thread while the descriptor can be read, and is expected to read it
 * @returns disposing of it ends that; the descriptor stays open
 * @throws VfioError
 */
export function watchReadable(entry: Entry): Disposable {
  clearTimeout(idle);
  const mine = (loop ??= new EpollLoop((error) => {
    loop = undefined;
    throw error;
  }));
  let value: number;
  try {
    value = mine.add(entry);
  } catch (error) {
    endIfIdle(mine);
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      mine.remove(value);
      endIfIdle(mine);
    },
  };
}

/** Ends the thread in a while, unless there is something to wait for by then. */
function endIfIdle(one: EpollLoop): void {
  const isIdle = (): boolean => one.isEmpty && one === loop;
  if (!isIdle()) return;
  clearTimeout(idle);
  idle = setTimeout(() => {
    if (!isIdle()) return;
    loop = undefined;
    one.end();
  }, lingering);
  idle.unref();
}
