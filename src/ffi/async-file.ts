// Reading and writing a file while the program goes on, without a thread: the kernel's asynchronous I/O (io_submit(2)). It does
// not wait for the medium where the file is open around the cache of pages (O_DIRECT). Otherwise what is not in the cache is
// waited for when it is asked for.
import { registerAio, collectAio, forgetAio, submitAio, waitAio } from "./aio-context.ts";
import { Arena, type ArenaPiece } from "./arena.ts";
import { aioCommand, aioFlag, transferFlag } from "./constants.ts";
import { VfioError } from "./errors.ts";
import { Eventfd } from "./eventfd.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { fileStatus } from "./file-status.ts";
import { iocb } from "./iocb.ts";

/** IOV_MAX of the kernel. */
const maxPieces = 1024;
const iovecSize = 16;
/** Of every medium: transfers around the cache are multiples of it. In bytes. */
const sector = 512;

/** Memory of this process. */
export interface MemoryPiece {
  /** Host virtual address. It stays mapped until the transfer has ended. */
  readonly address: number;
  /** In bytes. */
  readonly size: number;
}

/** Hears how a request has ended: bytes that were moved, which may be fewer than were asked for; or minus the errno. */
export type AsyncResult = (result: number) => void;

interface Slot {
  readonly request: ArenaPiece;
  readonly submission: ArenaPiece;
  readonly pieces: ArenaPiece;
}

/** A file and the requests that are under way. Owned: `dispose` waits for them, tells nobody, and closes the file. */
export class AsyncFile implements Disposable {
  /** Of the file when it was opened, in bytes. */
  readonly size: number;
  /** Whether transfers go around the cache of pages: they and their memory are aligned to 512 bytes then. */
  readonly isDirect: boolean;
  readonly #file: FileDescriptor;
  readonly #arena: Arena;
  readonly #ended: Eventfd;
  readonly #free: Slot[];
  /** By the number that the kernel gives back. */
  readonly #underWay = new Set<number>();

  /**
   * Takes over an open file.
   * @param options `depth` requests at once, 1 to 256; 32 without
   * @throws VfioError, as EMFILE where no descriptor is left; RangeError for another depth
   */
  constructor(file: FileDescriptor, options: { depth?: number; isDirect?: boolean } = {}) {
    const { depth = 32, isDirect = false } = options;
    using failed = new DisposableStack();
    this.#file = failed.use(file);
    if (!Number.isInteger(depth) || depth < 1 || depth > 256)
      throw new RangeError(`"depth" must be an integer from 1 to 256, not ${depth}`);
    const status = fileStatus(file.fd, file.name);
    if (!status.isRegular) throw new VfioError(`${file.name} is no regular file`, { code: "EINVAL" });
    this.size = status.size;
    this.isDirect = isDirect;
    this.#ended = failed.use(new Eventfd());
    this.#arena = failed.use(new Arena(depth * (iocb.size + 8 + maxPieces * iovecSize), "AIO requests"));
    this.#free = Array.from({ length: depth }, () => ({
      request: this.#arena.take(iocb.size),
      submission: this.#arena.take(8),
      pieces: this.#arena.take(maxPieces * iovecSize),
    }));
    const { view } = this.#arena;
    for (const { request, submission } of this.#free) {
      view.setBigUint64(submission.offset, BigInt(request.address), true);
      view.setUint32(request.offset + iocb.fd, file.fd, true);
      view.setUint32(request.offset + iocb.flags, aioFlag.RESFD, true);
      view.setUint32(request.offset + iocb.resultFd, this.#ended.fd, true);
    }
    failed.move();
  }

  /**
   * Opens a file, around the cache of pages where its file system can do that with 512 bytes.
   * @throws VfioError where it is no regular file, or cannot be opened
   */
  static open(path: string, options: { depth?: number } = {}): AsyncFile {
    const direct = openDirect(path);
    return new AsyncFile(direct ?? FileDescriptor.open(path), { ...options, isDirect: direct !== undefined });
  }

  /** The eventfd that can be read once a request has ended: `collect` is to be called then. It stays this file's. */
  get ended(): number {
    return this.#ended.fd;
  }

  /** Requests that are under way. */
  get pending(): number {
    return this.#underWay.size;
  }

  /**
   * Begins a transfer between the file and memory. With `durable`, a write has ended once the medium has it.
   * @param offset in the file, in bytes @param pieces 1 to 1024, in their order in the file
   * @throws RangeError where nothing is free, or for pieces or an offset that cannot be; VfioError where it cannot begin
   */
  transfer(
    direction: "read" | "write",
    offset: number,
    pieces: readonly MemoryPiece[],
    onEnd: AsyncResult,
    durable = false,
  ): void {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no offset`);
    if (pieces.length < 1 || pieces.length > maxPieces)
      throw new RangeError(`a transfer must have 1 to ${maxPieces} pieces, not ${pieces.length}`);
    const command = direction === "read" ? aioCommand.PREADV : aioCommand.PWRITEV;
    this.#begin(command, onEnd, (view, { request, pieces: list }) => {
      for (const [i, { address, size }] of pieces.entries()) {
        view.setBigUint64(list.offset + i * iovecSize, BigInt(address), true);
        view.setBigUint64(list.offset + i * iovecSize + 8, BigInt(size), true);
      }
      view.setUint32(request.offset + iocb.operationFlags, durable ? transferFlag.DSYNC : 0, true);
      view.setBigUint64(request.offset + iocb.buffer, BigInt(list.address), true);
      view.setBigUint64(request.offset + iocb.count, BigInt(pieces.length), true);
      view.setBigInt64(request.offset + iocb.offset, BigInt(offset), true);
    });
  }

  /** Begins to have the medium keep what was written (fdatasync(2)). @throws as `transfer` */
  sync(onEnd: AsyncResult): void {
    this.#begin(aioCommand.FDSYNC, onEnd, (view, { request }) => {
      for (const at of [iocb.buffer, iocb.count, iocb.offset])
        view.setBigUint64(request.offset + at, 0n, true);
      view.setUint32(request.offset + iocb.operationFlags, 0, true);
    });
  }

  #begin(command: number, onEnd: AsyncResult, fill: (view: DataView, slot: Slot) => void): void {
    void this.#file.fd;
    const slot = this.#free.pop();
    if (!slot) throw new RangeError(`${this.#file.name}: ${this.pending} requests are under way`);
    const data = registerAio((result) => {
      forgetAio(data);
      this.#underWay.delete(data);
      this.#free.push(slot);
      onEnd(result);
    });
    const { view } = this.#arena;
    view.setUint32(slot.request.offset + iocb.data, data, true);
    view.setUint16(slot.request.offset + iocb.opcode, command, true);
    try {
      fill(view, slot);
      submitAio(slot.submission.address);
    } catch (error) {
      forgetAio(data);
      this.#free.push(slot);
      throw error;
    }
    this.#underWay.add(data);
  }

  /** Tells who waits for what has ended. */
  collect(): void {
    this.#ended.drain();
    collectAio();
  }

  /** Waits until nothing is under way, and tells who waits for it; this thread stands still meanwhile. */
  wait(): void {
    while (this.#underWay.size > 0) waitAio((data) => this.#underWay.has(data));
  }

  /** Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#file.closed) return;
    const forget = (data: number): void => {
      forgetAio(data);
      this.#underWay.delete(data);
    };
    for (const data of this.#underWay) registerAio(() => forget(data), data);
    this.wait();
    this.#file[Symbol.dispose]();
    this.#ended[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}

/** @returns undefined where the file system has no such way, or only with larger pieces */
function openDirect(path: string): FileDescriptor | undefined {
  let file: FileDescriptor;
  try {
    file = FileDescriptor.open(path, { direct: true });
  } catch (error) {
    if (error instanceof VfioError && error.code === "EINVAL") return undefined;
    throw error;
  }
  // What is read at an odd sector tells whether the medium has larger ones.
  using memory = new Arena(2 * sector, "a sector");
  const { offset } = memory.take(sector, sector);
  try {
    if (fileStatus(file.fd, path).size >= 2 * sector)
      file.readAt(sector, memory.bytes.subarray(offset, offset + sector));
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    if (error instanceof VfioError && error.code === "EINVAL") return undefined;
    throw error;
  }
}
