// DMA_READ and DMA_WRITE on the client's side: memory that a server has no descriptor of is read and written for it.
import { MemoryWindows } from "../../../ffi/memory-windows.ts";
import { contains, type Range } from "../../address/range.ts";
import { RangeTable } from "../../address/range-table.ts";
import type { IommuMapping } from "../../seam/iommu.ts";
import type { Connection } from "../connection.ts";
import { dmaAccess } from "../messages/dma.ts";
import { bodyAt, Command, header, isError, messageType, noReply } from "../messages/header.ts";
import { refusal } from "../refusals.ts";
import { getU64 } from "../wire.ts";

interface Served extends Range {
  readonly mapping: IommuMapping;
  readonly memory: MemoryWindows;
}

/** What is mapped for one device. */
export class DmaServer {
  readonly #mappings = new RangeTable<Served>();
  /** Data of one request that are served, in bytes. */
  readonly #maxTransfer: number;
  #withoutFile = 0;

  /** Nothing is mapped yet. */
  constructor(maxTransfer: number) {
    this.#maxTransfer = maxTransfer;
  }

  /** Everything that is mapped, ascending. */
  get mappings(): IommuMapping[] {
    return [...this.#mappings].map(({ mapping }) => mapping);
  }
  /** Whether the server has no descriptor of some of it. */
  get needsMessages(): boolean {
    return this.#withoutFile > 0;
  }

  add(mapping: IommuMapping): void {
    const { iova: base, size, hva } = mapping;
    this.#mappings.insert({ base, size, mapping, memory: new MemoryWindows(hva, size) });
    if (!mapping.file) this.#withoutFile++;
  }

  /** @returns bytes that are no longer there */
  remove(range: Range): number {
    const gone = this.#mappings.overlaps(range);
    this.#mappings.delete(gone);
    for (const { memory, mapping } of gone) {
      memory.detach();
      if (!mapping.file) this.#withoutFile--;
    }
    return gone.reduce((sum, { size }) => sum + size, 0);
  }

  has(iova: number, size: number): boolean {
    const there = this.#mappings.overlap({ base: iova, size });
    return there?.base === iova && there.size === size;
  }

  /** Does the request whose header is at `at`, and answers it. @throws VfioError where the server does not read */
  serve(link: Connection, at: number): void {
    const { view, outAt } = link;
    const command = view.getUint16(at + header.at.command, true);
    const size = view.getUint32(at + header.at.size, true) - header.size;
    const result = this.#do(link, command, at + bodyAt, size);
    if ((view.getUint32(at + header.at.flags, true) & noReply) !== 0) return;
    const id = view.getUint16(at + header.at.id, true);
    if (result >= 0) {
      view.setUint32(outAt + bodyAt, view.getUint32(at + bodyAt, true), true);
      view.setUint32(outAt + bodyAt + 4, view.getUint32(at + bodyAt + 4, true), true);
      view.setUint32(outAt + bodyAt + 8, view.getUint32(at + bodyAt + 8, true), true);
      view.setUint32(outAt + bodyAt + 12, view.getUint32(at + bodyAt + 12, true), true);
      link.send(id, command, messageType.reply, 0, result);
    } else link.send(id, command, messageType.reply + isError, -result, 0);
  }

  /** @returns size of the reply's body; minus the errno for a refusal */
  #do(link: Connection, command: number, at: number, size: number): number {
    const isWrite = command === Command.dmaWrite;
    if (!isWrite && command !== Command.dmaRead) return refusal.noSuchCommand;
    if (link.fds.length > 0 || size < dmaAccess.size) return refusal.invalid;
    const iova = getU64(link.view, at + dmaAccess.at.address);
    const count = getU64(link.view, at + dmaAccess.at.count);
    if (count > this.#maxTransfer) return refusal.tooBig;
    if (isWrite && count > size - dmaAccess.size) return refusal.invalid;
    const data = isWrite ? at + dmaAccess.size : link.outAt + bodyAt + dmaAccess.size;
    if (!this.#copy(link.bytes, iova, count, data, isWrite)) return refusal.fault;
    return dmaAccess.size + (isWrite ? 0 : count);
  }

  /** @returns false where the device may not reach all of it; then nothing is copied */
  #copy(bytes: Uint8Array, iova: number, count: number, at: number, isWrite: boolean): boolean {
    const parts: { readonly memory: Uint8Array; readonly at: number }[] = [];
    for (let done = 0; done < count;) {
      const there = this.#mappings.overlap({ base: iova + done, size: 1 });
      if (!there || !contains(there, iova + done)) return false;
      if (!(isWrite ? there.mapping.writable : there.mapping.readable)) return false;
      const inside = iova + done - there.base;
      const length = Math.min(count - done, there.size - inside);
      parts.push({ memory: there.memory.view(inside, length), at: at + done });
      done += length;
    }
    for (const { memory, at: from } of parts)
      if (isWrite) memory.set(bytes.subarray(from, from + memory.length));
      else bytes.set(memory, from);
    return true;
  }
}
