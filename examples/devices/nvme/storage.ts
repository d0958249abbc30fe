// The namespace: a file that is read and written while the controller goes on. Data moves between the file and the guest's
// memory itself where that is mapped, else by way of memory of this process.
import type { DeviceMemory } from "bun-vfio";
import { AnonymousMemory, type AsyncFile, type MemoryPiece } from "bun-vfio/ffi";
import { dataPieces, move, type Piece } from "./pages.ts";
import type { Command } from "./queues.ts";
import { blockBits, largestTransfer, page } from "./registers.ts";
import { need, status } from "./status.ts";

/** What holds the blocks; an `AsyncFile` is one. */
export type Medium = Disposable &
  Pick<AsyncFile, "size" | "isDirect" | "ended" | "pending" | "transfer" | "sync" | "collect" | "wait">;

const opcode = { flush: 0, write: 1, read: 2, writeZeroes: 8 } as const;
const allNamespaces = 0xffff_ffff;
const blockSize = 2 ** blockBits;
const zeroesAtOnce = 16 * page;

/** `dispose` waits for what is under way, and closes the medium. */
export class Storage implements Disposable {
  readonly blocks: number;
  readonly medium: Medium;
  readonly #memory: DeviceMemory;
  readonly #onEnd: (command: Command, how: number) => void;
  readonly #zeroes = new AnonymousMemory(zeroesAtOnce);
  /** The guest's memory that the medium reads or writes right now. */
  readonly #used = new Map<Command, readonly Piece[]>();
  readonly #unmaps: Disposable;

  /** @param medium taken over @param onEnd hears of each command that `begin` took */
  constructor(memory: DeviceMemory, medium: Medium, onEnd: (command: Command, how: number) => void) {
    [this.#memory, this.medium, this.#onEnd] = [memory, medium, onEnd];
    this.blocks = Math.floor(medium.size / blockSize);
    this.#unmaps = memory.onUnmap(({ base, size }) => {
      const isUsed = (one: Piece): boolean => one.iova < base + size && base < one.iova + one.size;
      if ([...this.#used.values()].some((pieces) => pieces.some(isUsed))) medium.wait();
    });
  }

  /** Begins a command. @throws CommandError with how it ends at once; VfioError for memory that is none */
  begin(command: Command): void {
    const { commandOpcode: code, namespace, dword10, dword11, dword12Low } = command.entry;
    need(namespace === 1 || (code === opcode.flush && namespace === allNamespaces), "invalidNamespace");
    if (code === opcode.flush)
      return this.medium.sync((result) => this.#end(command, result === 0 ? "success" : "writeFault"));
    need(code === opcode.read || code === opcode.write || code === opcode.writeZeroes, "invalidOpcode");
    const [first, count] = [dword10 + dword11 * 2 ** 32, dword12Low + 1];
    need(first + count <= this.blocks, "beyondEnd");
    const size = count * blockSize;
    if (code === opcode.writeZeroes) return this.#transfer(command, "write", size, this.#zeroPieces(size));
    need(size <= page * 2 ** largestTransfer, "invalidField");
    const way = code === opcode.read ? "read" : "write";
    const pieces = dataPieces(this.#memory, command, size);
    const mapped = this.#mapped(pieces, way === "read" ? "write" : "read");
    if (!mapped) return this.#byWayOf(command, way, size, pieces);
    this.#transfer(command, way, size, mapped);
    this.#used.set(command, pieces);
  }

  #transfer(
    command: Command,
    way: "read" | "write",
    size: number,
    pieces: readonly MemoryPiece[],
    then: () => void = () => {},
  ): void {
    const { dword10, dword11, dword12ForceUnitAccess: durable } = command.entry;
    const onEnd = (result: number): void => {
      try {
        then();
        this.#end(command, result === size ? "success" : `${way}Fault`);
      } catch {
        // Memory that has gone meanwhile.
        this.#end(command, "dataTransfer");
      }
    };
    this.medium.transfer(way, (dword10 + dword11 * 2 ** 32) * blockSize, pieces, onEnd, durable);
  }

  #end(command: Command, how: keyof typeof status): void {
    this.#used.delete(command);
    this.#onEnd(command, status[how]);
  }

  /** The same zeros, again and again. */
  #zeroPieces(size: number): MemoryPiece[] {
    const { address } = this.#zeroes;
    const pieces = Array.from({ length: Math.ceil(size / zeroesAtOnce) }, () => ({
      address,
      size: zeroesAtOnce,
    }));
    pieces[pieces.length - 1]!.size = size - (pieces.length - 1) * zeroesAtOnce;
    return pieces;
  }

  /** The same pieces in this process; undefined where one is not mapped, or the medium cannot have it so. */
  #mapped(pieces: readonly Piece[], access: "read" | "write"): MemoryPiece[] | undefined {
    const mapped: MemoryPiece[] = [];
    for (const { iova, size } of pieces)
      for (let done = 0, count = size; done < size; done += count, count = size - done) {
        let address = this.#memory.address(iova + done, count, access);
        // Behind an IOMMU of the guest's each page may be mapped by itself.
        if (address === undefined) {
          count = Math.min(count, page - ((iova + done) % page));
          address = this.#memory.address(iova + done, count, access);
        }
        const isAligned = address !== undefined && address % blockSize === 0 && count % blockSize === 0;
        if (address === undefined || (this.medium.isDirect && !isAligned)) return undefined;
        mapped.push({ address, size: count });
      }
    return mapped;
  }

  #byWayOf(command: Command, way: "read" | "write", size: number, pieces: Piece[]): void {
    using failed = new DisposableStack();
    const own = failed.use(new AnonymousMemory(size));
    const bytes = own.view(0, size);
    if (way === "write") move(this.#memory, "read", pieces, bytes);
    this.#transfer(command, way, size, [{ address: own.address, size }], () => {
      using _ = own;
      if (way === "read") move(this.#memory, "write", pieces, bytes);
    });
    failed.move();
  }

  [Symbol.dispose](): void {
    this.#unmaps[Symbol.dispose]();
    this.medium[Symbol.dispose]();
    this.#zeroes[Symbol.dispose]();
  }
}
