// What the device reaches of the client's memory, and its accesses to memory that has no descriptor (specification, "DMA").
import { wireStruct } from "../wire.ts";

/** DMA_MAP. `offset` is in the file of the descriptor, `address` the IOVA; both, and `size`, in bytes. */
export const dmaMap = wireStruct(32, {
  argsz: "u32",
  flags: "u32",
  offset: "u64",
  address: "u64",
  size: "u64",
});
/** Access that the device has, and how it gets there with a descriptor; none of the last two: by mmap. */
export const dmaFlag = { read: 1, write: 2, mmap: 4, fileIo: 8 } as const;

/** DMA_UNMAP, and its reply. */
export const dmaUnmap = wireStruct(24, { argsz: "u32", flags: "u32", address: "u64", size: "u64" });
/** The first is gone from the specification; with the second, address and size are 0. */
export const unmapFlag = { dirtyBitmap: 1, all: 2 } as const;

/** DMA_READ and DMA_WRITE, and their replies; data follows a write and the reply to a read. */
export const dmaAccess = wireStruct(16, { address: "u64", count: "u64" });

/** QEMU 11.1.3 cuts replies to larger reads. In bytes. */
export const maxDmaRead = 128 * 1024;
