// Serving in a thread that does nothing else: it blocks, which is the fastest way to wait.
import { acceptUnix } from "../../../ffi/unix-socket.ts";
import { protocolError } from "../connection.ts";
import { BlockingLoop } from "./blocking-loop.ts";
import type { DeviceSource, ServeOptions } from "./options.ts";
import { defaultPeerTimeout, ServerCore, type Client } from "./server-core.ts";

/** How another thread ends a server that blocks, or how many clients it serves. */
export interface BlockingOptions extends ServeOptions {
  /** Clients to be served, one after the other; as many as come without. */
  readonly clients?: number | undefined;
  /** Called once clients can connect, before any is served. */
  readonly onListening?: (() => void) | undefined;
  /** Hears which descriptors to shut down for it to end: of the listening socket, of the connection. @internal */
  readonly control?: BlockingControl | undefined;
}

/** @internal */
export interface BlockingControl {
  /** @param fd of what blocks from now on */
  enter(fd: number): void;
  /** The descriptor is about to be closed. */
  leave(): void;
  readonly isStopping: boolean;
}

/**
 * Serves a device in this thread, which blocks until `clients` have come and gone.
 * @param device closed at the end; or a function that makes one in the server's environment
 * @throws VfioError where it cannot listen; what the function throws
 */
export function serveDeviceBlocking<Data = undefined>(
  device: DeviceSource<Data>,
  options: BlockingOptions,
  data?: Data,
): void {
  const { clients = Infinity, control, onListening } = options;
  let deviceFailed = (_: unknown): void => {};
  const loop = new BlockingLoop((error) => deviceFailed(error));
  using core = new ServerCore(device as DeviceSource, options, loop, data);
  deviceFailed = core.deviceFailed;
  onListening?.();
  for (let served = 0; served < clients && !control?.isStopping;) {
    const client = next(core, loop, control);
    if (client === "none") continue;
    if (client === "ended") return;
    served++;
    let reason: unknown;
    control?.enter(client.connection.fd);
    try {
      serveClient(client, loop, options);
    } catch (error) {
      reason = error;
    }
    control?.leave();
    core.end(client, reason);
  }
}

/** Before the next try to accept a client, in milliseconds. */
const retryDelay = 100;

function next(
  core: ServerCore,
  loop: BlockingLoop,
  control: BlockingControl | undefined,
): Client | "none" | "ended" {
  control?.enter(core.socket.fd);
  try {
    if (!loop.isIdle) loop.wait(core.socket.fd);
    const socket = acceptUnix(core.socket);
    return socket ? (core.begin(socket) ?? "none") : "ended";
  } catch (error) {
    core.clientFailed(error);
    // The client still waits, and there is no descriptor for it: not at once again.
    Bun.sleepSync(retryDelay);
    return "none";
  } finally {
    control?.leave();
  }
}

function serveClient({ session, connection }: Client, loop: BlockingLoop, options: BlockingOptions): void {
  const { peerTimeout = defaultPeerTimeout, control } = options;
  while (!control?.isStopping) {
    session.serve();
    if (connection.isPartial) {
      if (!loop.wait(connection.fd, peerTimeout))
        throw protocolError(connection.peer, "a message that does not end");
    } else if (!loop.isIdle) loop.wait(connection.fd);
    if (connection.fill(true) === "closed") return;
  }
}
