// Data that a device finds in several parts of memory, by IOVA, in their order: a scatter-gather list.
import type { MemoryPiece } from "../../ffi/async-file.ts";
import type { DeviceMemory } from "../seam/device-memory.ts";

/** A part of memory that a device reaches; in bytes. */
export interface DmaPiece {
  /** Its first address as the device sees it. */
  readonly iova: number;
  /** In bytes. */
  readonly size: number;
}

/** What an IOMMU of the guest's may map by itself. */
const smallest = 4096;

/**
 * Copies between bytes of this process and parts of memory.
 * @param way "write" from `bytes` to memory @throws VfioError for memory that is none; what came before was copied
 */
export function copyPieces(
  memory: DeviceMemory,
  way: "read" | "write",
  pieces: readonly DmaPiece[],
  bytes: Uint8Array,
): void {
  let done = 0;
  for (const { iova, size } of pieces) {
    memory[way](iova, bytes.subarray(done, done + size));
    done += size;
  }
}

/**
 * The same parts as addresses of this process, for calls that move data without a copy, as `AsyncFile.transfer`. A part may
 * become several. They are good until the memory goes: `DeviceMemory.onUnmap`.
 * @param access what the device does to the memory
 * @returns undefined where a part is not mapped in this process
 * @throws VfioError for memory that is none
 */
export function mappedPieces(
  memory: DeviceMemory,
  access: "read" | "write",
  pieces: readonly DmaPiece[],
): MemoryPiece[] | undefined {
  const mapped: MemoryPiece[] = [];
  for (const { iova, size } of pieces)
    for (let done = 0, count = size; done < size; done += count, count = size - done) {
      let address = memory.address(iova + done, count, access);
      if (address === undefined) {
        count = Math.min(count, smallest - ((iova + done) % smallest));
        address = memory.address(iova + done, count, access);
      }
      if (address === undefined) return undefined;
      mapped.push({ address, size: count });
    }
  return mapped;
}
