// Memory as a device sees it, by IOVA: what a served or modelled device is given in place of the bus it would sit on.
import type { Range } from "../address/range.ts";

/**
 * Memory that a device reaches by DMA. Addresses and sizes are bytes, numbers below 2^53. Nothing outlives a mapping: whoever
 * keeps an address or a view listens to `onUnmap`.
 */
export interface DeviceMemory {
  /** Fills `into` from `iova` on. @throws VfioError EFAULT where it is not mapped, EACCES where it is write-only */
  read(iova: number, into: Uint8Array): void;
  /** Writes all of `from`. @throws VfioError EFAULT where it is not mapped, EACCES where it is read-only */
  write(iova: number, from: Uint8Array): void;
  /**
   * The memory itself, where all of it lies in one piece in this process: for calls such as preadv(2).
   * @returns its host virtual address; undefined where `read` and `write` are the only way
   * @throws VfioError as `read` or `write`
   */
  address(iova: number, size: number, access: "read" | "write"): number | undefined;
  /** As `address`, as bytes; undefined for memory that may only be read too: a view can be written. */
  view(iova: number, size: number, access: "read" | "write"): Uint8Array | undefined;
  /**
   * Calls `listener` before memory goes: when it returns, nothing touches that range any more.
   * @returns disposing of it ends that
   */
  onUnmap(listener: (range: Range) => void): Disposable;
}

/** Where a served or modelled device lives: its memory, and time. */
export interface DeviceEnvironment {
  /** What the device reaches by DMA. */
  readonly memory: DeviceMemory;
  /** Calls back once, after `milliseconds`, between two accesses of the device. @returns disposing of it calls that off */
  after(milliseconds: number, callback: () => void): Disposable;
  /**
   * Calls back while a descriptor can be read, between two accesses of the device; `callback` is expected to read it.
   * @returns disposing of it ends that; the descriptor stays open
   */
  watch(fd: number, callback: () => void): Disposable;
}
