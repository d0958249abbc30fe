// A guest's memory as a file: as it lies in the guest, one part after the other, without the holes between them.
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { VfioError } from "../ffi/errors.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Bytes at once. */
const chunk = 2 ** 22;

/** Each piece of memory with its place in the file. */
function* pieces(memory: GuestMemory): Generator<{ bytes: Uint8Array; at: number }> {
  let at = 0;
  for (const { gpa, size } of memory.parts)
    for (let offset = 0; offset < size; offset += chunk) {
      const bytes = memory.view(gpa + offset, Math.min(chunk, size - offset));
      yield { bytes, at };
      at += bytes.length;
    }
}

/**
 * Writes all of a guest's memory to a new file; what the guest never wrote stays a hole of it. vCPUs are stopped, and devices do
 * no DMA any more. @throws node:fs's errors
 */
export function saveMemory(memory: GuestMemory, file: string): void {
  const out = openSync(file, "w");
  try {
    ftruncateSync(out, memory.size);
    const zeros = Buffer.alloc(chunk);
    for (const { bytes, at } of pieces(memory))
      if (zeros.compare(bytes, 0, bytes.length, 0, bytes.length) !== 0)
        writeSync(out, bytes, 0, bytes.length, at);
  } finally {
    closeSync(out);
  }
}

/**
 * Fills a guest's memory from a file of `saveMemory`, of a guest with memory in the same places.
 * @throws VfioError (`EBADSTATE`) where the file is shorter; node:fs's errors
 */
export function loadMemory(memory: GuestMemory, file: string): void {
  const input = openSync(file, "r");
  try {
    for (const { bytes, at } of pieces(memory))
      if (readSync(input, bytes, 0, bytes.length, at) !== bytes.length)
        throw new VfioError(`${file} is shorter than the guest's memory`, { code: "EBADSTATE" });
  } finally {
    closeSync(input);
  }
}
