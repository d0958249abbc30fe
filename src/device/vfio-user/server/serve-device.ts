// Serving a device without blocking: on the event loop of this thread, or in a thread of its own.
import { AioPoll } from "../../../ffi/aio-poll.ts";
import { acceptUnix } from "../../../ffi/unix-socket.ts";
import { watchReadable } from "../../../ffi/epoll-loop.ts";
import { protocolError } from "../connection.ts";
import type { DeviceServer, DeviceSource, ServeOptions } from "./options.ts";
import { defaultPeerTimeout, ServerCore, type Client } from "./server-core.ts";
import { startThread } from "./server-thread.ts";

/**
 * Serves a device to one vfio-user client after the other; it keeps its state in between.
 * @param device a backend, closed with the server, or a function that makes one in the server's environment: both on the
 *   event loop of this thread. Or the URL of a module whose default export is such a function: in a thread of its own that
 *   blocks, which is the fastest way
 * @param data what the function gets as its second argument, as `postMessage` would send it
 * @throws VfioError where it cannot listen, RangeError for limits that cannot be
 */
export function serveDevice<Data = undefined>(
  device: DeviceSource<Data> | URL,
  options: ServeOptions,
  data?: Data,
): DeviceServer {
  return device instanceof URL ? startThread(device, options, data) : onEventLoop(device, options, data);
}

function onEventLoop<Data>(
  device: DeviceSource<Data>,
  options: ServeOptions,
  data: Data | undefined,
): DeviceServer {
  const server = new EventLoopServer(device as DeviceSource, options, data);
  const stop = async (): Promise<void> => server.stop();
  return { ready: Promise.resolve(), stop, [Symbol.asyncDispose]: stop };
}

/** Before the next try to accept a client, in milliseconds. */
const retryDelay = 100;

class EventLoopServer {
  readonly #core: ServerCore;
  readonly #listening: AioPoll;
  readonly #peerTimeout: number;
  #client: (Omit<Client, typeof Symbol.dispose> & { readonly poll: AioPoll }) | undefined;
  #unfinished: Timer | undefined;
  #stopped = false;

  constructor(device: DeviceSource, options: ServeOptions, data: unknown) {
    this.#peerTimeout = options.peerTimeout ?? defaultPeerTimeout;
    using failed = new DisposableStack();
    this.#core = failed.use(
      new ServerCore(
        device,
        options,
        { after: (...a) => this.#after(...a), watch: (fd, callback) => this.#watch(fd, callback) },
        data,
      ),
    );
    this.#listening = failed.use(new AioPoll(this.#core.socket.fd, () => this.#accept()));
    this.#listening.arm();
    failed.move();
  }

  #after(milliseconds: number, callback: () => void): Disposable {
    const timer = setTimeout(() => this.#guard(callback), milliseconds);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #watch(fd: number, callback: () => void): Disposable {
    return watchReadable({ fd, keepsAlive: false, onReady: () => this.#guard(callback) });
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#core.deviceFailed(error);
    }
  }

  #accept(): void {
    try {
      const socket = acceptUnix(this.#core.socket);
      if (!socket) return;
      using client = new DisposableStack();
      const begun = this.#core.begin(socket);
      if (!begun) return this.#listening.arm();
      client.use(begun);
      const poll = client.use(new AioPoll(begun.connection.fd, () => this.#receive()));
      poll.arm();
      client.move();
      this.#client = { ...begun, poll };
    } catch (error) {
      this.#core.clientFailed(error);
      // The client still waits, and there is no descriptor for it: not at once again.
      this.#unfinished = setTimeout(() => this.#listening.arm(), retryDelay);
    }
  }

  #receive(): void {
    const client = this.#client;
    if (!client) return;
    const { connection, session, poll } = client;
    clearTimeout(this.#unfinished);
    try {
      if (connection.fill(false) === "closed") return this.#end(undefined);
      session.serve();
    } catch (error) {
      return this.#end(error);
    }
    if (this.#client !== client) return;
    if (connection.isPartial)
      this.#unfinished = setTimeout(
        () => this.#end(protocolError(connection.peer, "a message that does not end")),
        this.#peerTimeout,
      );
    poll.arm();
  }

  #end(reason: unknown): void {
    const client = this.#client;
    if (!client) return;
    this.#client = undefined;
    clearTimeout(this.#unfinished);
    client.poll[Symbol.dispose]();
    this.#core.end(client, reason);
    if (!this.#stopped) this.#listening.arm();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#end(undefined);
    clearTimeout(this.#unfinished);
    this.#listening[Symbol.dispose]();
    this.#core[Symbol.dispose]();
  }
}
