// A file behind a device, as a disk has one: its bytes move to and from the memory that the device reaches while the program goes
// on. Without a copy where that memory is mapped in this process, else by way of memory of its own.
import { AnonymousMemory } from "../../ffi/anonymous-memory.ts";
import type { AsyncFile, MemoryPiece } from "../../ffi/async-file.ts";
import { intersects, type Range } from "../address/range.ts";
import type { DeviceMemory } from "../seam/device-memory.ts";
import { copyPieces, mappedPieces, type DmaPiece } from "./dma-pieces.ts";

/** What holds the bytes; an `AsyncFile` is one. */
export type DmaMedium = Disposable &
  Pick<AsyncFile, "size" | "isDirect" | "ended" | "pending" | "transfer" | "sync" | "collect" | "wait">;

/** How a transfer ended: the medium failed, or took less; or memory that was there at the start was not at the end. */
export type DmaOutcome = "done" | "medium-failed" | "memory-gone";
/** Hears of a transfer's end, from `collect` or `wait` of the medium. */
export type DmaEnd = (outcome: DmaOutcome) => void;

/** Of memory that goes around the cache of pages, in bytes. */
const sector = 512;
const zeroesAtOnce = 64 * 1024;

/** Owned: `dispose` waits for what is under way, tells nobody, and closes the medium. */
export class DmaFile implements Disposable {
  /** What is behind the device; closed with this. */
  readonly medium: DmaMedium;
  /** Of the device. */
  readonly memory: DeviceMemory;
  readonly #zeroes = new AnonymousMemory(zeroesAtOnce);
  /** The device's memory that the medium reads or writes right now. */
  readonly #used = new Set<readonly DmaPiece[]>();
  readonly #unmaps: Disposable;

  /** A file behind a device. @param memory of the device @param medium taken over; who watches `medium.ended` calls `medium.collect` */
  constructor(memory: DeviceMemory, medium: DmaMedium) {
    [this.memory, this.medium] = [memory, medium];
    const isUsed = (gone: Range): boolean =>
      [...this.#used].some((pieces) =>
        pieces.some(({ iova, size }) => intersects(gone, { base: iova, size })),
      );
    // Whoever takes memory away is told once nothing touches it.
    this.#unmaps = memory.onUnmap((gone) => {
      if (isUsed(gone)) medium.wait();
    });
  }

  /**
   * Begins to move the parts of memory, in their order, to the medium from byte `at` on, or from there. With `durable` a write
   * has ended once the medium keeps it.
   * @throws VfioError for memory that is none; RangeError where the medium has nothing free, or for too many parts
   */
  transfer(
    way: "read" | "write",
    at: number,
    pieces: readonly DmaPiece[],
    onEnd: DmaEnd,
    durable = false,
  ): void {
    const mapped = mappedPieces(this.memory, way === "read" ? "write" : "read", pieces);
    const isAligned = (one: MemoryPiece): boolean => one.address % sector === 0 && one.size % sector === 0;
    if (!mapped || (this.medium.isDirect && !mapped.every(isAligned)))
      return this.#byWayOf(way, at, pieces, onEnd, durable);
    this.#begin(way, at, mapped, durable, (outcome) => {
      this.#used.delete(pieces);
      onEnd(outcome);
    });
    this.#used.add(pieces);
  }

  /** Begins to write zeros. @param size in bytes, up to 64 MiB @throws as `transfer` */
  writeZeroes(at: number, size: number, onEnd: DmaEnd, durable = false): void {
    const { address } = this.#zeroes;
    const pieces = Array.from({ length: Math.ceil(size / zeroesAtOnce) }, (_, i) => ({
      ...{ address, size: Math.min(zeroesAtOnce, size - i * zeroesAtOnce) },
    }));
    this.#begin("write", at, pieces, durable, onEnd);
  }

  #byWayOf(
    way: "read" | "write",
    at: number,
    pieces: readonly DmaPiece[],
    onEnd: DmaEnd,
    durable: boolean,
  ): void {
    using failed = new DisposableStack();
    const size = sizeOf(pieces);
    const own = failed.use(new AnonymousMemory(size));
    const bytes = own.view(0, size);
    if (way === "write") copyPieces(this.memory, "read", pieces, bytes);
    this.#begin(way, at, [{ address: own.address, size }], durable, (outcome) => {
      try {
        if (way === "read" && outcome === "done") copyPieces(this.memory, "write", pieces, bytes);
      } catch {
        outcome = "memory-gone";
      }
      own[Symbol.dispose]();
      onEnd(outcome);
    });
    failed.move();
  }

  #begin(
    way: "read" | "write",
    at: number,
    pieces: readonly MemoryPiece[],
    durable: boolean,
    onEnd: DmaEnd,
  ): void {
    const size = sizeOf(pieces);
    const end = (result: number): void => onEnd(result === size ? "done" : "medium-failed");
    this.medium.transfer(way, at, pieces, end, durable);
  }

  /** Safe to call twice. */
  [Symbol.dispose](): void {
    this.#unmaps[Symbol.dispose]();
    this.medium[Symbol.dispose]();
    this.#zeroes[Symbol.dispose]();
  }
}

const sizeOf = (pieces: readonly { readonly size: number }[]): number =>
  pieces.reduce((sum, { size }) => sum + size, 0);
