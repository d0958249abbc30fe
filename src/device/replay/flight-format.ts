// The file of a flight recorder: a header, what was attached as JSON, texts, and the ring of entries. Little-endian. The same
// bytes are the recorder's memory, so that a mapped file is whole whenever its process ends. docs/flight-recorder.md has it too.
import { VfioError } from "../../ffi/errors.ts";
import type { TracedDevice } from "../seam/trace.ts";

/** `BVFLIGHT` */
const magic = [0x42, 0x56, 0x46, 0x4c, 0x49, 0x47, 0x48, 0x54];
/** The format that this version writes, and the newest that it reads. */
export const flightVersion = 1;

/** Bytes of the header. Fields by their byte offset: u32 below 32, doubles from there on. */
export const header = {
  magic: 0,
  version: 8,
  /** Bytes of the JSON; its first byte is at `deviceAt`. */
  deviceSize: 12,
  /** Doubles: entries of the ring, entries ever recorded, ticks a second, ticks and milliseconds since 1970 at the start. */
  capacity: 32,
  count: 40,
  perSecond: 48,
  startTicks: 56,
  startTime: 64,
  /** Bytes of text ever recorded. */
  textCount: 72,
} as const;
export const headerSize = 128;
/** Bytes set aside for what was attached, and for texts. */
export const deviceSize = 2 ** 16 - headerSize;
export const textSize = 2 ** 16;
export const deviceAt = headerSize;
export const textAt = deviceAt + deviceSize;
export const entriesAt = textAt + textSize;

/** Doubles of an entry: ticks, the five numbers, and a word of kind, length and place of its text. */
export const entryWords = 7;
export const entrySize = 8 * entryWords;
/** Bytes of one text; what is longer is cut. */
export const longestText = 512;
/** Entries of one recorder. */
export const maxEntries = 2 ** 24;

/** Bytes of a recorder with so many entries. */
export const flightSize = (entries: number): number => entriesAt + entries * entrySize;

/** One entry as recorded. */
export interface FlightEntry {
  /** From 0 on, of all that were ever recorded. */
  readonly index: number;
  /** Seconds since the recorder was made. */
  readonly seconds: number;
  /** Of `TraceKind`. */
  readonly kind: number;
  /** Five of them; see `traceFields`. */
  readonly numbers: readonly number[];
  /** Of an event or a failure, 512 bytes at most. */
  readonly text: string | undefined;
}

/** The entries of a recorder's file. */
export interface FlightEntries {
  /** When it began, in milliseconds since 1970. */
  readonly startTime: number;
  /** Entries ever recorded. */
  readonly count: number;
  /** How many of them, the oldest, are not there any more. */
  readonly lost: number;
  /** The entry with an index from `lost` to `count` - 1. @throws RangeError for another */
  entry(index: number): FlightEntry;
}

export function writeHeader(bytes: Uint8Array, capacity: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  bytes.set(magic, header.magic);
  view.setUint32(header.version, flightVersion, true);
  view.setFloat64(header.capacity, capacity, true);
}

/** JSON has no bytes: config space is hex. */
export const deviceJson = (device: TracedDevice): string =>
  JSON.stringify({ ...device, config: device.config.toHex() });

export const badFlight = (name: string, what: string): VfioError =>
  new VfioError(`${name}: ${what}`, { code: "EBADFLIGHT" });

/** Whether bytes begin as a recorder's file does. */
export const isFlight = (bytes: Uint8Array): boolean => magic.every((byte, i) => bytes[i] === byte);

/**
 * Reads what of a recorder's file needs no schema: its entries. Nothing of it is trusted. Runs in a browser too.
 * @param name for messages
 * @throws VfioError (`EBADFLIGHT`) that says what is wrong
 */
export function readFlightEntries(bytes: Uint8Array, name: string): FlightEntries {
  if (!isFlight(bytes)) throw badFlight(name, "it is no flight recorder's file");
  if (bytes.length < entriesAt) throw badFlight(name, `it is cut off after ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(header.version, true);
  if (version !== flightVersion)
    throw badFlight(name, `it is of version ${version}; this library reads version ${flightVersion}`);
  const number = (at: number): number => view.getFloat64(at, true);
  const [capacity, count] = [number(header.capacity), number(header.count)];
  if (
    !Number.isInteger(capacity) ||
    capacity < 1 ||
    capacity > maxEntries ||
    bytes.length < flightSize(capacity)
  )
    throw badFlight(name, `it says that it has ${capacity} entries, and has ${bytes.length} bytes`);
  if (!Number.isSafeInteger(count) || count < 0)
    throw badFlight(name, `it says that it recorded ${count} entries`);
  const lost = Math.max(0, count - capacity);
  const perSecond = number(header.perSecond);
  const start = number(header.startTicks);
  const textCount = number(header.textCount);
  const entry = (index: number): FlightEntry => {
    if (!Number.isInteger(index) || index < lost || index >= count)
      throw new RangeError(`"index" must be an integer from ${lost} to ${count - 1}, not ${index}`);
    const at = entriesAt + (index % capacity) * entrySize;
    const word = 8 * (entryWords - 1);
    const length = view.getUint16(at + word + 2, true);
    return {
      index,
      seconds: (number(at) - start) / perSecond,
      kind: view.getUint16(at + word, true),
      numbers: [number(at + 8), number(at + 16), number(at + 24), number(at + 32), number(at + 40)],
      text: length === 0 ? undefined : textOf(bytes, view.getUint32(at + word + 4, true), length, textCount),
    };
  };
  return { startTime: number(header.startTime), count, lost, entry };
}

/** What stands for a text whose place in the ring is another's by now. */
export const overwrittenText = "(overwritten)";

/** A text by where it was put, in bytes ever recorded, modulo 2^32. */
function textOf(bytes: Uint8Array, place: number, length: number, textCount: number): string {
  const age = (textCount - place) % 2 ** 32;
  if (length > longestText || !(age >= 0 && age <= textSize)) return overwrittenText;
  const from = place % textSize;
  const text = bytes.slice(textAt + from, textAt + Math.min(from + length, textSize));
  const rest = bytes.slice(textAt, textAt + Math.max(0, from + length - textSize));
  return new TextDecoder().decode(new Uint8Array([...text, ...rest]));
}
