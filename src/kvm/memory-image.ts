// A guest's memory as a file: as it lies in the guest, one part after the other, without the holes between them; and behind it a
// few words that tell which memory it is.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { DurableFile } from "../ffi/durable-file.ts";
import { VfioError } from "../ffi/errors.ts";
import type { MemoryPlace } from "./guest-memory.ts";

/** Bytes at once: what of a file is a hole, or is not. */
const chunk = 2 ** 16;
const format = "bun-vfio-memory";
const version = 1;
/** Bytes of the words behind the memory, at most: a guest has one part, or two. */
const maxWords = 2 ** 16;

/** A guest's memory, as it is saved and loaded; `GuestMemory` is one. */
export interface MemoryContents {
  /** In bytes: the sum of the parts. */
  readonly size: number;
  /** Where they were, ascending. */
  readonly parts: readonly MemoryPlace[];
  /** The bytes of a range that lies in one part. @param size in bytes */
  view(gpa: number, size: number): Uint8Array;
}

/** Each piece of memory with its place in the file. */
function* pieces(memory: MemoryContents): Generator<{ bytes: Uint8Array; at: number }> {
  let at = 0;
  for (const { gpa, size } of memory.parts)
    for (let offset = 0; offset < size; offset += chunk) {
      const bytes = memory.view(gpa + offset, Math.min(chunk, size - offset));
      yield { bytes, at };
      at += bytes.length;
    }
}

/** What stands behind the memory. */
const wordsOf = ({ parts }: MemoryContents, id: string): string =>
  JSON.stringify({ format, version, id, places: parts.map(({ gpa, size }) => ({ gpa, size })) });

/**
 * Writes all of a guest's memory to a file, which only its owner may read; what the guest never wrote stays a hole of it. vCPUs
 * are stopped, and devices do no DMA any more. The file takes its name once the disk has all of it (`DurableFile`).
 * @returns the ID that the file has been given. It belongs into the state that is saved with it, for `loadMemory`: so no state is
 * ever restored with the memory of another
 * @throws VfioError, as `ENOSPC`; an older file is as it was then
 */
export function saveMemory(memory: MemoryContents, file: string): string {
  using out = new DurableFile(file, { secret: true });
  const zeros = Buffer.alloc(chunk);
  for (const { bytes, at } of pieces(memory))
    if (zeros.compare(bytes, 0, bytes.length, 0, bytes.length) !== 0) out.write(bytes, at);
  const id = crypto.randomUUID();
  out.write(new TextEncoder().encode(wordsOf(memory, id)), memory.size);
  out.commit();
  return id;
}

/**
 * Fills a guest's memory from a file of `saveMemory`, of a guest with memory in the same places.
 * @param id what `saveMemory` returned; without, any memory that fits is taken
 * @throws VfioError: `EBADSTATE` where the file is cut off, of a guest with other memory, or not that of this ID: nothing is
 * written then; `EIO` and others of read(2): a part of the memory may be written
 */
export function loadMemory(memory: MemoryContents, file: string, id?: string): void {
  const input = attempt(file, "open", () => openSync(file, "r"));
  try {
    check(memory, file, input, id);
    for (const { bytes, at } of pieces(memory)) readAll(file, input, bytes, at);
  } finally {
    closeSync(input);
  }
}

function check(memory: MemoryContents, file: string, input: number, id: string | undefined): void {
  const { size } = attempt(file, "fstat", () => fstatSync(input));
  const bad = (why: string): VfioError =>
    new VfioError(`${file}: ${why}`, {
      code: "EBADSTATE",
      hint: "Give the file that was saved with the state.",
    });
  const length = size - memory.size;
  if (length <= 0)
    throw bad(`it is shorter than the guest's memory, ${memory.size} bytes: cut off, or of another`);
  const words = new Uint8Array(Math.min(length, maxWords));
  readAll(file, input, words, memory.size);
  const text = new TextDecoder().decode(words);
  const found = idIn(text);
  if (length > maxWords || found === undefined || text !== wordsOf(memory, found))
    throw bad("this is no memory of a guest with memory in the same places");
  if (id !== undefined && found !== id)
    throw bad(`it was not saved with this state: it is ${found}, and the state's memory is ${id}`);
}

function idIn(text: string): string | undefined {
  try {
    const { id } = Object(JSON.parse(text)) as { readonly id?: unknown };
    return typeof id === "string" ? id : undefined;
  } catch {
    return undefined;
  }
}

function readAll(file: string, input: number, into: Uint8Array, at: number): void {
  for (let done = 0; done < into.length;) {
    const count = attempt(file, "read", () => readSync(input, into, done, into.length - done, at + done));
    if (count === 0) throw new VfioError(`${file} became shorter while it was read`, { code: "EBADSTATE" });
    done += count;
  }
}

/** Runs a call of `node:fs`. */
function attempt<Result>(file: string, syscall: string, call: () => Result): Result {
  try {
    return call();
  } catch (cause) {
    const { code = "EIO", errno, message } = cause as NodeJS.ErrnoException;
    throw new VfioError(`${file}: cannot read it: ${message}`, {
      ...{ code, syscall, cause },
      errno: errno === undefined ? undefined : Math.abs(errno),
    });
  }
}
