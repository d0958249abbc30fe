// Where a server listens: a path that nobody else can put something at, and that is gone when the server is.
import { lstatSync, statSync, unlinkSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { VfioError } from "./errors.ts";
import type { FileDescriptor } from "./file-descriptor.ts";
import { connectUnix, listenUnix } from "./unix-socket.ts";

const ownerOnly = 0o600;
const othersMayWrite = 0o022;
const sticky = 0o1000;
/** A listening socket with its path. `dispose` closes it and removes the path, unless that is another's by now. */
export interface ListeningPath extends Disposable {
  readonly socket: FileDescriptor;
}

/**
 * Listens at a path with mode 0600. A socket that a dead server left behind is replaced.
 * @param waiting clients that may wait; one unless given, since a device has one client at a time
 * @throws VfioError: EPERM for a folder that others may write to, EADDRINUSE for a path that is in use, ENOENT
 */
export function listenAt(path: string, waiting = 1): ListeningPath {
  const folder = dirname(resolve(path));
  checkFolder(folder);
  removeDead(path);
  const socket = listenUnix(path, waiting, ownerOnly, {
    hint: (code) =>
      code === "EADDRINUSE" ? "Something is at that path: choose another, or remove it." : undefined,
  });
  const { ino, dev } = lstatSync(path);
  return {
    socket,
    [Symbol.dispose]: () => {
      if (socket.closed) return;
      socket[Symbol.dispose]();
      const now = lstatSync(path, { throwIfNoEntry: false });
      if (now?.ino === ino && now.dev === dev) unlinkSync(path);
    },
  };
}

function checkFolder(folder: string): void {
  let mode: number;
  let uid: number;
  try {
    ({ mode, uid } = statSync(folder));
  } catch (cause) {
    throw new VfioError(`${folder}: there is no such folder`, { code: "ENOENT", errno: 2, cause });
  }
  const isOwn = uid === process.getuid?.() || uid === 0;
  const isShared = (mode & othersMayWrite) !== 0 && (mode & sticky) === 0;
  if (isOwn && !isShared) return;
  throw new VfioError(`${folder}: others may replace what is in it, a device's socket too`, {
    code: "EPERM",
    errno: 1,
    hint: "Choose a folder of your own, such as $XDG_RUNTIME_DIR, or take the others' write permission away.",
  });
}

/** A socket that nobody listens on refuses whoever connects. */
function removeDead(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  try {
    connectUnix(path)[Symbol.dispose]();
  } catch (error) {
    if (error instanceof VfioError && error.code === "ECONNREFUSED") unlinkSync(path);
  }
}
