// What a flight recorder records, as it is recorded: over a socket, as one file of new entries after the other, each after its size.
import { readSync } from "node:fs";
import { AioPoll } from "../../ffi/aio-poll.ts";
import { messageFlag } from "../../ffi/constants.ts";
import { VfioError } from "../../ffi/errors.ts";
import type { FileDescriptor } from "../../ffi/file-descriptor.ts";
import { systemCalls } from "../../ffi/system-calls.ts";
import { acceptUnix, connectUnix } from "../../ffi/unix-socket.ts";
import { listenAt, type ListeningPath } from "../../ffi/listening-path.ts";
import { badFlight, entriesAt, flightSize } from "./flight-format.ts";
import type { FlightRecorder } from "./flight-recorder.ts";

/** Between two looks at what is new, in milliseconds. */
const interval = 20;
/** Before the next try to accept a reader, in milliseconds. */
const retryDelay = 100;
/** Readers at a time. */
const maxReaders = 8;
/** Entries of one file, and those that a reader gets of what was before it. */
const maxEntriesAtOnce = 2 ** 14;
const entriesBefore = 1024;
/** The u32 before each file: its size in bytes. */
const sizeBytes = 4;
const tryAgain = 11;
const interrupted = 4;

/** One who reads. What he is too slow for is lost to him, and the next file's `lost` tells. */
class Reader implements Disposable {
  readonly #socket: FileDescriptor;
  readonly #recorder: FlightRecorder;
  #next: number;
  #waiting: Uint8Array = new Uint8Array(0);
  #first = true;

  constructor(socket: FileDescriptor, recorder: FlightRecorder) {
    this.#socket = socket;
    this.#recorder = recorder;
    this.#next = Math.max(0, recorder.count - entriesBefore);
  }

  /** Sends what the socket takes now. @returns whether the reader is still there */
  send(): boolean {
    for (;;) {
      if (this.#waiting.length === 0 && !this.#fill()) return true;
      const flags = messageFlag.DONTWAIT | messageFlag.NOSIGNAL;
      const sent = systemCalls().sendto(this.#socket.fd, this.#waiting, this.#waiting.length, flags, null, 0);
      if (sent === -interrupted) continue;
      if (sent < 0) return sent === -tryAgain;
      this.#waiting = this.#waiting.subarray(sent);
    }
  }

  #fill(): boolean {
    const { count } = this.#recorder;
    if (count <= this.#next && !this.#first) return false;
    this.#first = false;
    const file = this.#recorder.since(this.#next, maxEntriesAtOnce);
    this.#next = Math.min(count, Math.max(this.#next, count - this.#recorder.entries) + maxEntriesAtOnce);
    const framed = new Uint8Array(new ArrayBuffer(sizeBytes + file.length));
    new DataView(framed.buffer).setUint32(0, file.length, true);
    framed.set(file, sizeBytes);
    this.#waiting = framed;
    return true;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

class LiveFlight implements Disposable {
  readonly #recorder: FlightRecorder;
  readonly #listening: ListeningPath;
  readonly #poll: AioPoll;
  readonly #readers = new Set<Reader>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(recorder: FlightRecorder, path: string) {
    this.#recorder = recorder;
    using failed = new DisposableStack();
    this.#listening = failed.use(listenAt(path, maxReaders));
    this.#poll = failed.use(new AioPoll(this.#listening.socket.fd, () => this.#accept()));
    this.#poll.arm();
    failed.move();
  }

  #accept(): void {
    if (this.#closed) return;
    try {
      const socket = acceptUnix(this.#listening.socket);
      if (!socket) return;
      if (this.#readers.size >= maxReaders) socket[Symbol.dispose]();
      else this.#readers.add(new Reader(socket, this.#recorder));
      this.#timer ??= setInterval(() => this.#send(), interval).unref();
      this.#poll.arm();
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      // There is no descriptor left for who wants to read: the program that records goes on without.
      setTimeout(() => this.#accept(), retryDelay).unref();
    }
  }

  #send(): void {
    for (const reader of this.#readers)
      if (!reader.send()) {
        this.#readers.delete(reader);
        reader[Symbol.dispose]();
      }
    if (this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#send();
    clearInterval(this.#timer);
    for (const reader of this.#readers) reader[Symbol.dispose]();
    this.#readers.clear();
    this.#poll[Symbol.dispose]();
    this.#listening[Symbol.dispose]();
  }
}

/**
 * Lets others read what a recorder records, as it is recorded, at a socket of mode 0600: `bun-vfio trace --live PATH` does, and
 * `readLiveFlight`. It sends from the event loop, every 20 ms, and recording waits for nobody: what a reader is too slow for
 * is lost to him. Eight readers at a time.
 * @param path a folder that others may not write to; removed at the end
 * @returns disposing of it ends that, the readers too; before the recorder is closed
 * @throws VfioError: EADDRINUSE, EPERM for a folder that is not one's own, ENOENT; RangeError for a path that is too long
 */
export const serveFlight = (recorder: FlightRecorder, path: string): Disposable =>
  new LiveFlight(recorder, path);

/**
 * What a recorder records, from the newest thousand entries on, as files of what is new for `readFlight`, each with its device.
 * Waits for the next in this thread; ends when the recorder does.
 * @throws VfioError where nobody listens, and (`EBADFLIGHT`) for what is no recording
 */
export function* readLiveFlight(path: string): Generator<Uint8Array, void> {
  using socket = connectUnix(path, {
    hint: "No recorder is served at that path: serveFlight does that, in the process that records.",
  });
  const size = new Uint8Array(new ArrayBuffer(sizeBytes));
  while (readWhole(socket.fd, size)) {
    const length = new DataView(size.buffer).getUint32(0, true);
    if (length < entriesAt || length > flightSize(maxEntriesAtOnce))
      throw badFlight(path, `it sends a recording of ${length} bytes`);
    const bytes = new Uint8Array(new ArrayBuffer(length));
    if (!readWhole(socket.fd, bytes)) return;
    yield bytes;
  }
}

/** @returns false where the other end closed before all had come */
function readWhole(fd: number, bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length;) {
    const count = readSync(fd, bytes, done, bytes.length - done, null);
    if (count === 0) return false;
    done += count;
  }
  return true;
}
