// AF_UNIX stream sockets: made, bound, connected, accepted. What travels over them is `MessageSocket`'s.
import { unlinkSync } from "node:fs";
import { socketFamily, socketLevel, socketOption, socketShutdown, socketType } from "./constants.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { systemCalls, systemError } from "./system-calls.ts";
import type { FailureContext } from "./system-error.ts";

const interrupted = 4;
/** sizeof(struct sockaddr_un): two bytes of family, then the path with its NUL. */
const addressSize = 110;
/** The longest path of a socket, in bytes of UTF-8 (unix(7)). */
export const maxSocketPath = addressSize - 3;

/** struct sockaddr_un. @throws RangeError for a path that does not fit, or holds a NUL */
function socketAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > maxSocketPath || name.includes(0))
    throw new RangeError(
      `a socket's path must be 1 to ${maxSocketPath} bytes with no NUL, not ${JSON.stringify(path)}`,
    );
  const address = new Uint8Array(new ArrayBuffer(addressSize));
  address[0] = socketFamily.UNIX;
  address.set(name, 2);
  return address;
}

function newSocket(name: string): FileDescriptor {
  const fd = systemCalls().socket(socketFamily.UNIX, socketType.STREAM | socketType.CLOEXEC, 0);
  if (fd < 0) throw systemError("socket", -fd, name);
  return new FileDescriptor(fd, name);
}

/**
 * A socket that listens at a path that does not exist yet, which is made with exactly this mode (less the umask).
 * @param path 1 to 107 bytes @param backlog clients that may wait, 1 or more @param mode of the path: 0600
 * @returns owned by the caller, who also unlinks the path
 * @throws VfioError, as EADDRINUSE where the path exists; RangeError for a path that is too long
 */
export function listenUnix(
  path: string,
  backlog: number,
  mode: number,
  context: FailureContext = {},
): FileDescriptor {
  const address = socketAddress(path);
  using failed = new DisposableStack();
  const socket = failed.use(newSocket(path));
  const must = (call: string, result: number): void => {
    if (result < 0) throw systemError(call, -result, path, context);
  };
  // bind(2) takes the mode of the socket's own inode: nobody can connect between the two.
  must("fchmod", systemCalls().fchmod(socket.fd, mode));
  must("bind", systemCalls().bind(socket.fd, address, address.length));
  failed.defer(() => unlinkSync(path));
  must("listen", systemCalls().listen(socket.fd, backlog));
  failed.move();
  return socket;
}

/** @returns the next client's connection; undefined where the socket was shut down @throws VfioError */
export function acceptUnix(socket: FileDescriptor): FileDescriptor | undefined {
  for (;;) {
    const fd = systemCalls().accept4(socket.fd, null, null, socketType.CLOEXEC);
    if (fd >= 0) return new FileDescriptor(fd, `a client of ${socket.name}`);
    if (fd === -aborted || fd === -interrupted) continue;
    if (fd === -invalid) return undefined;
    throw systemError("accept4", -fd, socket.name);
  }
}
const aborted = 103;
const invalid = 22;

/** Connects to a socket at a path. @throws VfioError, as ENOENT, ECONNREFUSED; RangeError for a path that is too long */
export function connectUnix(path: string, context: FailureContext = {}): FileDescriptor {
  const address = socketAddress(path);
  using failed = new DisposableStack();
  const socket = failed.use(newSocket(path));
  for (;;) {
    const result = systemCalls().connect(socket.fd, address, address.length);
    if (result === -interrupted) continue;
    if (result < 0) throw systemError("connect", -result, path, context);
    failed.move();
    return socket;
  }
}

/** Two sockets that are connected to each other. @throws VfioError, as EMFILE where no descriptors are left */
export function unixPair(name: string): [FileDescriptor, FileDescriptor] {
  const pair = new Int32Array(new ArrayBuffer(8));
  const result = systemCalls().socketpair(socketFamily.UNIX, socketType.STREAM | socketType.CLOEXEC, 0, pair);
  if (result < 0) throw systemError("socketpair", -result, name);
  return [new FileDescriptor(pair[0]!, name), new FileDescriptor(pair[1]!, name)];
}

/** Ends both directions of a connection, for every thread that waits on it; a descriptor that is no socket is left alone. */
export const shutdownSocket = (fd: number): void => {
  systemCalls().shutdown(fd, socketShutdown.RDWR);
};

/** Who is at the other end, as of when it connected. */
export interface PeerCredentials {
  /** Its process ID when it connected. */
  readonly pid: number;
  /** Its effective user ID. */
  readonly uid: number;
  /** Its effective group ID. */
  readonly gid: number;
}

/** SO_PEERCRED of unix(7). @throws VfioError */
export function peerCredentials(fd: number): PeerCredentials {
  const credentials = new Uint32Array(new ArrayBuffer(12));
  const size = new Uint32Array(new ArrayBuffer(4));
  size[0] = 12;
  const result = systemCalls().getsockopt(fd, socketLevel.SOCKET, socketOption.PEERCRED, credentials, size);
  if (result < 0) throw systemError("getsockopt", -result, "the credentials of a peer");
  return { pid: credentials[0]!, uid: credentials[1]!, gid: credentials[2]! };
}

/**
 * How long calls wait before they fail with EAGAIN (SO_RCVTIMEO, SO_SNDTIMEO of socket(7)).
 * @param which of them @param milliseconds 0 or more; 0 waits forever @throws VfioError
 */
export function setSocketTimeout(fd: number, which: "receive" | "send", milliseconds: number): void {
  // struct timeval: seconds, then microseconds, of 64 bits.
  const time = new BigInt64Array(new ArrayBuffer(16));
  time[0] = BigInt(Math.floor(milliseconds / 1000));
  time[1] = BigInt(Math.round((milliseconds % 1000) * 1000));
  const option = which === "receive" ? socketOption.RCVTIMEO : socketOption.SNDTIMEO;
  const result = systemCalls().setsockopt(fd, socketLevel.SOCKET, option, time, 16);
  if (result < 0) throw systemError("setsockopt", -result, `the ${which} timeout of a socket`);
}
