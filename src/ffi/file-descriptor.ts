import { cString } from "./c-string.ts";
import { fcntlCommand, openFlag } from "./constants.ts";
import { VfioError } from "./errors.ts";
import { readAt, writeAt } from "./file-io.ts";
import { systemCalls } from "./system-calls.ts";
import { systemError, type FailureContext } from "./system-error.ts";

const interrupted = 4;
/** AT_FDCWD of openat(2). */
const currentFolder = -100;

/** How a file is opened, and what messages say of it. */
export interface OpenOptions extends FailureContext {
  /** What the descriptor is for; `"rw"` without. */
  readonly access?: "r" | "w" | "rw";
  /** For messages, in place of the path: `group 12`. */
  readonly name?: string;
  /** Calls that would wait fail with EAGAIN instead. */
  readonly nonblocking?: boolean;
  /** Around the cache of pages (O_DIRECT). Not every file system can. */
  readonly direct?: boolean;
}

/** A file descriptor of one owner: closed once, refused afterwards, and never inherited by a program that is started. */
export class FileDescriptor implements Disposable {
  /** For messages: what it is open on. */
  readonly name: string;
  readonly #context: FailureContext;
  readonly #fd: number;
  #closed = false;

  /**
   * Takes over a descriptor that is open: nobody else closes it.
   * @param name for messages: `group 12`
   */
  constructor(fd: number, name: string, context: FailureContext = {}) {
    this.#fd = checkedFd(fd, name);
    this.name = name;
    this.#context = context;
  }

  /** Opens what is there: it creates nothing. @throws VfioError, with the path in its message */
  static open(path: string, options: OpenOptions = {}): FileDescriptor {
    const { access = "rw", name = path, nonblocking = false, direct = false, device } = options;
    const way = { r: openFlag.RDONLY, w: openFlag.WRONLY, rw: openFlag.RDWR }[access];
    const kind = (nonblocking ? openFlag.NONBLOCK : 0) | (direct ? openFlag.DIRECT : 0);
    const flags = way | openFlag.CLOEXEC | kind;
    const text = cString(path);
    for (;;) {
      const fd = systemCalls().openat(currentFolder, text, flags, 0);
      if (fd >= 0) return new FileDescriptor(fd, name, { device });
      if (fd !== -interrupted)
        throw systemError("open", -fd, name === path ? path : `${name}: ${path}`, options);
    }
  }

  /**
   * A descriptor of one's own for what another is open on. The other stays its owner's.
   * @throws VfioError: EBADF where it is not open, EMFILE where no descriptor is left
   */
  static duplicate(fd: number, name: string, context: FailureContext = {}): FileDescriptor {
    const own = systemCalls().fcntl(checkedFd(fd, name), fcntlCommand.DUPFD_CLOEXEC, 0);
    if (own < 0) throw systemError("fcntl", -own, `${name}: descriptor ${fd}`, context);
    return new FileDescriptor(own, name, context);
  }

  /** Open until this is disposed of. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    if (this.#closed)
      throw new VfioError(`${this.name} is closed`, { code: "ECLOSED", device: this.#context.device });
    return this.#fd;
  }

  /** Whether it was disposed of. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Fills `data` from byte `offset` on. @throws VfioError; `ESHORT` where the file ends before */
  readAt(offset: number, data: Uint8Array): void {
    readAt(this.fd, offset, data, this.name, this.#context);
  }

  /** Writes all of `data` at byte `offset`. @throws VfioError; `ESHORT` where the file takes no more */
  writeAt(offset: number, data: Uint8Array): void {
    writeAt(this.fd, offset, data, this.name, this.#context);
  }

  /** Closes the descriptor. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // Linux has given the number back even where close(2) fails: trying again could close somebody else's.
    systemCalls().close(this.#fd);
  }
}

function checkedFd(fd: number, name: string): number {
  if (typeof fd !== "number") throw new TypeError(`${name}: a descriptor is a number, not ${typeof fd}`);
  if (!Number.isInteger(fd) || fd < 0 || fd >= 2 ** 31)
    throw new RangeError(`${name}: ${fd} is no descriptor`);
  return fd;
}
