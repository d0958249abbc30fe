// Files that a peer shares as memory: each is mapped once, however often parts of it are asked for. Behind a vIOMMU a client
// maps the same file page by page, thousands of times a second.
import { VfioError } from "../../../ffi/errors.ts";
import { fileStatus, sealAgainstShrinking, type FileStatus } from "../../../ffi/file-status.ts";
import { Mapping } from "../../../ffi/mapping.ts";
import { pageSize } from "../../../ffi/page-size.ts";

/** Files up to this size are mapped whole, in bytes. */
const maxWhole = 2 ** 40;
/** Mappings that stay although nobody uses them now. */
const maxIdle = 2;

/** Limits of what one peer may have mapped. */
export interface SharedFileLimits {
  /** Mappings at once. */
  readonly maxMappings: number;
  /** Bytes of address space, all together. */
  readonly maxBytes: number;
  /** Files that may get smaller are refused: touching what is gone would end the process. */
  readonly sealedOnly: boolean;
}

/** A part of a mapped file. */
export interface SharedPart {
  readonly mapping: Mapping;
  /** Of the part in `mapping`, in bytes. */
  readonly offset: number;
  /** Gives the part back. */
  readonly release: () => void;
}

interface Shared {
  readonly key: string;
  readonly mapping: Mapping;
  uses: number;
}

const peersFile = "a descriptor of a peer";
const refuse = (code: string, errno: number, why: string): VfioError => new VfioError(why, { code, errno });

function checkInside(status: FileStatus, offset: number, size: number): void {
  if (status.isRegular && (offset > status.size || size > status.size - offset))
    throw refuse("EINVAL", 22, `the file ends at ${status.size}, before ${offset} + ${size}`);
}

/** The files of one peer. `dispose` unmaps all of them. */
export class SharedFiles implements Disposable {
  readonly #limits: SharedFileLimits;
  readonly #shared = new Map<string, Shared>();
  #bytes = 0;

  /** Nothing is mapped yet. */
  constructor(limits: SharedFileLimits) {
    this.#limits = limits;
  }

  /**
   * Maps `size` bytes at `offset` of a file; the descriptor may be closed afterwards.
   * @throws VfioError: EINVAL outside of the file or off a page, EPERM for a file that may shrink where none is wanted,
   *   ENOSPC at a limit, or what mmap(2) says
   */
  map(fd: number, offset: number, size: number, writable: boolean): SharedPart {
    const page = pageSize();
    if (offset % page !== 0) throw refuse("EINVAL", 22, `the offset of a file must be a multiple of ${page}`);
    const status = fileStatus(fd, peersFile);
    checkInside(status, offset, size);
    const whole = status.isRegular && status.size <= maxWhole;
    const [start, length] = whole ? [0, status.size] : [offset, size];
    const key = `${status.identity} ${start} ${length} ${writable}`;
    let shared = this.#shared.get(key);
    if (!shared) this.#shared.set(key, (shared = this.#create(fd, key, start, length, writable)));
    shared.uses++;
    let released = false;
    const { mapping } = shared;
    return {
      mapping,
      offset: offset - start,
      release: () => {
        if (released) return;
        released = true;
        shared.uses--;
        this.#trim();
      },
    };
  }

  #create(fd: number, key: string, offset: number, size: number, writable: boolean): Shared {
    const { maxMappings, maxBytes, sealedOnly } = this.#limits;
    if (this.#shared.size >= maxMappings || this.#bytes + size > maxBytes) this.#trim(0);
    if (this.#shared.size >= maxMappings) throw refuse("ENOSPC", 28, `${maxMappings} files are mapped`);
    if (this.#bytes + size > maxBytes) throw refuse("ENOSPC", 28, `${this.#bytes} bytes of files are mapped`);
    if (!sealAgainstShrinking(fd) && sealedOnly) throw refuse("EPERM", 1, "the file may get smaller");
    // It may have got smaller since it was looked at; from here on it cannot.
    checkInside(fileStatus(fd, peersFile), offset, size);
    const mapping = new Mapping({
      size,
      fd,
      offset,
      access: writable ? "rw" : "r",
      name: "memory of a peer",
    });
    this.#bytes += size;
    return { key, mapping, uses: 0 };
  }

  /** Unmaps what nobody uses, but for the newest few. */
  #trim(keep = maxIdle): void {
    const idle = [...this.#shared.values()].filter(({ uses }) => uses === 0);
    for (const { key, mapping } of idle.slice(0, Math.max(0, idle.length - keep))) {
      this.#shared.delete(key);
      this.#bytes -= mapping.size;
      mapping[Symbol.dispose]();
    }
  }

  /** Unmaps everything, used or not. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const { mapping } of this.#shared.values()) mapping[Symbol.dispose]();
    this.#shared.clear();
    this.#bytes = 0;
  }
}
