// DMA_MAP and DMA_UNMAP: addresses, sizes and descriptors come from the peer, and none is believed.
import type { Range } from "../../address/range.ts";
import { dmaFlag, dmaMap, dmaUnmap, unmapFlag } from "../messages/dma.ts";
import { bodyAt } from "../messages/header.ts";
import { refusal } from "../refusals.ts";
import type { Handler, SessionContext } from "./context.ts";

const known = dmaFlag.read + dmaFlag.write + dmaFlag.mmap + dmaFlag.fileIo;
const everything: Range = { base: 0, size: Number.MAX_SAFE_INTEGER };

/** DMA_MAP: with a descriptor by mmap(2) or file I/O, without one by messages. */
export const mapDma: Handler = (context, { at, size }) => {
  const { connection, memory, files, limits } = context;
  if (size < dmaMap.size) return refusal.invalid;
  const { flags, offset, address, size: bytes } = dmaMap.decode(connection.view, at);
  const [fd] = connection.fds;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const modes = Number(has(dmaFlag.mmap)) + Number(has(dmaFlag.fileIo));
  if ((flags & ~known) !== 0 || modes > 1 || (modes > 0 && fd === undefined) || connection.fds.length > 1)
    return refusal.invalid;
  const max = Number.MAX_SAFE_INTEGER;
  if (bytes < 1 || bytes > max || address > max - bytes || offset > max - bytes) return refusal.invalid;
  if (memory.length >= limits.maxDmaMaps) return refusal.noSpace;
  const [readable, writable] = [has(dmaFlag.read), has(dmaFlag.write)];
  const file = fd === undefined ? undefined : { fd, offset, mapped: !has(dmaFlag.fileIo) };
  memory.map({ iova: address, size: bytes, readable, writable, file }, files);
  follow(context, { base: address, size: bytes }, readable, writable);
  return 0;
};

/** An IOMMU of this host follows, where memory lies in this process; else that memory is out of the device's reach. */
function follow({ dma, memory }: SessionContext, range: Range, readable: boolean, writable: boolean): void {
  const hva = dma && memory.hva(range);
  if (!dma || hva === undefined) return;
  try {
    dma.map({ iova: range.base, size: range.size, hva, readable, writable });
  } catch (error) {
    memory.unmap(range);
    throw error;
  }
}

/**
 * DMA_UNMAP. A range around maps, or with none in it, is what clients behind a vIOMMU send: both succeed. The reply always
 * has a body: some clients read exactly that much.
 */
export const unmapDma: Handler = (context, { at, size }) => {
  const { connection } = context;
  const { view, outAt } = connection;
  if (size < dmaUnmap.size) return refusal.invalid;
  const request = dmaUnmap.decode(view, at);
  const isAll = request.flags === unmapFlag.all;
  if (request.flags !== 0 && !isAll) return refusal.invalid;
  if (isAll && (request.address !== 0 || request.size !== 0)) return refusal.invalid;
  const max = Number.MAX_SAFE_INTEGER;
  const base = Math.min(request.address, max);
  unmapRange(context, isAll ? everything : { base, size: Math.min(request.size, max - base) });
  dmaUnmap.encode(view, outAt + bodyAt, { ...request, argsz: dmaUnmap.size });
  return dmaUnmap.size;
};

/** Takes back what a client has mapped: of the host's IOMMU first, so that no device reaches what is gone. */
export function unmapRange({ memory, dma }: SessionContext, range: Range): void {
  if (dma) {
    memory.checkUnmap(range);
    for (const one of memory.ranges(range)) if (memory.hva(one) !== undefined) dma.unmap(one.base, one.size);
  }
  memory.unmap(range);
}
