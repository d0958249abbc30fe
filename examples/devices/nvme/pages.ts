// Where a command's data is in the guest's memory: physical region pages (4.3). A list may be anything: it is read as far as the
// data goes, which is bounded, and each of its pages takes that further.
import type { DeviceMemory, DmaPiece } from "bun-vfio";
import type { Command } from "./queues.ts";
import { page } from "./registers.ts";
import { need } from "./status.ts";

const entrySize = 8;

/** @throws CommandError for pages that are none, VfioError where a list is in no memory */
export function dataPieces(memory: DeviceMemory, { entry }: Command, size: number): DmaPiece[] {
  const { firstLow: first, secondLow: second } = entry;
  need(entry.firstBeyond === 0 && first % 4 === 0, "prpOffset");
  const pieces = [{ iova: first, size: Math.min(size, page - (first % page)) }];
  let left = size - pieces[0]!.size;
  const add = (iova: number): void => {
    need(iova % page === 0 && Number.isSafeInteger(iova), "prpOffset");
    const count = Math.min(left, page);
    const last = pieces.at(-1)!;
    if (last.iova + last.size === iova) last.size += count;
    else pieces.push({ iova, size: count });
    left -= count;
  };
  if (left === 0) return pieces;
  need(entry.secondBeyond === 0 && second % entrySize === 0, "prpOffset");
  if (left <= page) add(second);
  for (let list = second; left > 0;) {
    const room = (page - (list % page)) / entrySize;
    const entries = Math.min(room, Math.ceil(left / page));
    const bytes = new DataView(new ArrayBuffer(entries * entrySize));
    memory.read(list, new Uint8Array(bytes.buffer));
    const at = (n: number): number =>
      bytes.getUint32(n * entrySize, true) + bytes.getUint32(n * entrySize + 4, true) * 2 ** 32;
    const goesOn = Math.ceil(left / page) > room;
    for (let n = 0; n < entries - Number(goesOn); n++) add(at(n));
    // The last entry of a page is where the list goes on: at the beginning of a page, so that it never stands still.
    list = at(entries - 1);
    need(!goesOn || list % page === 0, "prpOffset");
  }
  return pieces;
}
