// A ring of memory that keeps the newest of what a device's model does: numbers in typed arrays, no allocation an entry.
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { cycleCounter, type CycleCounter } from "../../ffi/cycle-counter.ts";
import { DurableFile } from "../../ffi/durable-file.ts";
import { VfioError } from "../../ffi/errors.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { Redaction } from "../../image/redact.ts";
import type { TracedDevice, Tracer } from "../seam/trace.ts";
import {
  deviceAt,
  deviceJson,
  deviceSize,
  entriesAt,
  entrySize,
  entryWords,
  flightSize,
  header,
  longestText,
  maxEntries,
  textAt,
  textSize,
  writeHeader,
} from "./flight-format.ts";
import { redactFlight } from "./redact-flight.ts";

/** Options of a `FlightRecorder`. */
export interface FlightRecorderOptions {
  /** Entries that are kept, 1 to 2^24, of 56 bytes each (default 65536). */
  readonly entries?: number | undefined;
  /**
   * A file that is the recorder's memory, made anew with mode 0600: it is whole whenever the process ends, by SIGKILL too.
   * Its disk space is taken at once. Without it, `save` writes one.
   */
  readonly file?: string | undefined;
}

const defaultEntries = 2 ** 16;
const zeros = 2 ** 20;

/**
 * Makes a file of zeros, which has all of its disk space: a page that the disk has no room for would end the process. It takes
 * its name once it has that, so that an older file stays where the disk is full.
 */
function fileOf(path: string, size: number): number {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new VfioError(`${path} is no regular file`, { code: "EINVAL" });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  const fd = openSync(temporary, "wx+", 0o600);
  try {
    const block = new Uint8Array(Math.min(size, zeros));
    for (let done = 0; done < size;)
      done += writeSync(fd, block, 0, Math.min(block.length, size - done), done);
    renameSync(temporary, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * A flight recorder of one device, given as `trace` when that is attached. Recorded are guest accesses and their answers, events,
 * calls of the backend and actions of the platform (`traceFields`), each with the time of the processor's counter. Whoever
 * made it disposes of it, after the device.
 */
export class FlightRecorder implements Tracer, Disposable {
  /** Entries that are kept. */
  readonly entries: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #mapping: Mapping | undefined;
  readonly #view: DataView;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;
  readonly #clock: CycleCounter = cycleCounter();
  #count = 0;
  #textCount = 0;
  #closed = false;

  /** @throws RangeError; VfioError or the error of open(2) or write(2) for a file that cannot be made */
  constructor({ entries = defaultEntries, file }: FlightRecorderOptions = {}) {
    if (!Number.isInteger(entries) || entries < 1 || entries > maxEntries)
      throw new RangeError(`"entries" must be an integer from 1 to ${maxEntries}, not ${entries}`);
    this.entries = entries;
    const size = flightSize(entries);
    if (file === undefined) this.#bytes = new Uint8Array(new ArrayBuffer(size));
    else {
      const fd = fileOf(file, size);
      try {
        this.#mapping = new Mapping({ size, fd, name: file });
      } finally {
        closeSync(fd);
      }
      this.#bytes = this.#mapping.view(0, size);
    }
    const { buffer } = this.#bytes;
    this.#view = new DataView(buffer, 0, entriesAt);
    this.#doubles = new Float64Array(buffer, entriesAt, entries * entryWords);
    this.#words = new Uint32Array(buffer, entriesAt, 2 * entries * entryWords);
    writeHeader(this.#bytes, entries);
    this.#view.setFloat64(header.perSecond, this.#clock.perSecond, true);
    this.#view.setFloat64(header.startTicks, this.#clock.now(), true);
    this.#view.setFloat64(header.startTime, Date.now(), true);
  }

  /** Entries recorded so far, those that are overwritten too. */
  get count(): number {
    return this.#count;
  }

  /** As any `Tracer` does. */
  record(kind: number, a: number, b: number, c: number, d: number, e: number, text?: string): void {
    if (this.#closed) return;
    const slot = this.#count % this.entries;
    const at = slot * entryWords;
    const doubles = this.#doubles;
    doubles[at] = this.#clock.now();
    doubles[at + 1] = a;
    doubles[at + 2] = b;
    doubles[at + 3] = c;
    doubles[at + 4] = d;
    doubles[at + 5] = e;
    const word = 2 * (at + entryWords - 1);
    const length = text === undefined ? 0 : this.#putText(text);
    this.#words[word] = (kind & 0xffff) | (length << 16);
    this.#words[word + 1] = (this.#textCount - length) % 2 ** 32;
    // Last: an entry that is half written when the process ends is not counted.
    this.#view.setFloat64(header.count, ++this.#count, true);
  }

  /** Puts a text into its ring. @returns its bytes */
  #putText(text: string): number {
    const bytes = new TextEncoder().encode(text).subarray(0, longestText);
    const from = this.#textCount % textSize;
    const first = bytes.subarray(0, textSize - from);
    this.#bytes.set(first, textAt + from);
    this.#bytes.set(bytes.subarray(first.length), textAt);
    this.#textCount += bytes.length;
    this.#view.setFloat64(header.textCount, this.#textCount, true);
    return bytes.length;
  }

  attached(device: TracedDevice): void {
    if (this.#closed) return;
    const json = new TextEncoder().encode(deviceJson(device));
    // Without it the entries are still there to be read, not to be replayed.
    if (json.length > deviceSize) return;
    this.#bytes.set(json, deviceAt);
    this.#view.setUint32(header.deviceSize, json.length, true);
  }

  /**
   * Writes what there is now, of mode 0600; `readFlight` reads it.
   * @param options with `redact`, without what names this machine (`redactFlight`)
   * @throws VfioError: `ENOSPC` and others; a file that had the name is then as it was
   */
  save(path: string, { redact = false }: { readonly redact?: boolean | undefined } = {}): void {
    if (this.#closed) throw new Error("the flight recorder is closed");
    const bytes = redact ? redactFlight(this.#bytes, path, new Redaction()) : this.#bytes;
    using file = new DurableFile(path, { secret: true });
    file.write(bytes);
    file.commit();
  }

  /**
   * A file of the entries from `first` on, as `save` writes one of all; those that are overwritten are lost in it too. Of a
   * recorder that has entries it has the newest one at least.
   * @param first 0 or more @param most entries at most, 1 or more: the oldest of them
   */
  since(first: number, most: number): Uint8Array {
    const oldest = Math.max(0, Math.min(Math.max(first, this.#count - this.entries), this.#count - 1));
    const end = Math.min(this.#count, oldest + most);
    const capacity = Math.max(1, end - oldest);
    const bytes = new Uint8Array(new ArrayBuffer(flightSize(capacity)));
    bytes.set(this.#bytes.subarray(0, entriesAt));
    writeHeader(bytes, capacity);
    new DataView(bytes.buffer).setFloat64(header.count, end, true);
    for (let index = oldest; index < end; index++) {
      const from = entriesAt + (index % this.entries) * entrySize;
      bytes.set(this.#bytes.subarray(from, from + entrySize), entriesAt + (index % capacity) * entrySize);
    }
    return bytes;
  }

  /** Saves each time that a signal comes, as `"SIGUSR2"`. @returns disposing of it ends that */
  saveOnSignal(path: string, signal: NodeJS.Signals): Disposable {
    const save = (): void => this.save(path);
    process.on(signal, save);
    return { [Symbol.dispose]: () => void process.off(signal, save) };
  }

  /** Saves when this process ends by an error that nobody caught. @returns disposing of it ends that */
  saveOnError(path: string): Disposable {
    const save = (): void => this.save(path);
    process.on("uncaughtExceptionMonitor", save);
    return { [Symbol.dispose]: () => void process.off("uncaughtExceptionMonitor", save) };
  }

  /** Nothing is recorded any more; a mapped file stays. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#mapping?.[Symbol.dispose]();
  }
}
