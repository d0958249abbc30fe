// A flight recorder's file without what names one machine: recordings of failures get posted. It replays as the first one did,
// since what a device answered and what the guest got of it are replaced alike.
import type { Redaction } from "../../image/redact.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { TraceKind } from "../seam/trace.ts";
import {
  badFlight,
  deviceAt,
  deviceJson,
  deviceSize,
  entriesAt,
  entrySize,
  entryWords,
  flightSize,
  header,
  overwrittenText,
  textAt,
  textSize,
  type FlightEntry,
} from "./flight-format.ts";
import { putEntryBytes } from "./flight-answers.ts";
import { flightGroups, type FlightGroup } from "./flight-groups.ts";
import { readFlight, type FlightRecording } from "./read-flight.ts";

/** Where an access of config space has its place and its value, by kind: indexes of an entry's numbers. */
const configAccesses: Readonly<Record<number, { readonly at: number; readonly value: number }>> = {
  [TraceKind.configRead]: { at: 0, value: 2 },
  [TraceKind.configWrite]: { at: 0, value: 2 },
  [TraceKind.deviceRead]: { at: 1, value: 3 },
  [TraceKind.deviceWrite]: { at: 1, value: 3 },
};
const bytesKept = 8;
/** Values that were replaced are kept by what they were, so many of them. */
const maxKnown = 4096;

/**
 * A recorder's file with serial numbers, MAC addresses and VPD of config space replaced, in entries and texts too, and with the
 * values of BAR accesses that the device answered set to 0.
 * @param bytes as a recorder saved them; they stay as they are
 * @param name for messages
 * @throws VfioError (`EBADFLIGHT`) as `readFlight`
 */
export function redactFlight(bytes: Uint8Array, name: string, redaction: Redaction): Uint8Array {
  const recording = readFlight(bytes, name);
  const capacity = viewOf(bytes).getFloat64(header.capacity, true);
  const redacted = bytes.slice(0, flightSize(capacity));
  const config = recording.device?.config;
  putDevice(redacted, recording, redaction, name);
  redacted.fill(0, textAt, textAt + textSize);
  const write = new EntryWriter(redacted, capacity);
  const replaced = config && new ConfigValues(config, redaction);
  for (const group of flightGroups(recording)) {
    const answered = isAnswered(group);
    for (const entry of group.entries) {
      if (isBarAccess(entry)) {
        if (answered || entry.kind === TraceKind.deviceRead || entry.kind === TraceKind.deviceWrite)
          write.numbers(entry, 3, [0, 0]);
      } else if (replaced) replaced.put(entry, write);
      if (entry.text !== undefined && entry.text !== overwrittenText)
        write.text(entry, redaction.text(entry.text));
    }
  }
  return redacted;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function putDevice(bytes: Uint8Array, { device }: FlightRecording, redaction: Redaction, name: string): void {
  bytes.fill(0, deviceAt, deviceAt + deviceSize);
  if (device === undefined) return;
  const json = new TextEncoder().encode(deviceJson({ ...device, config: redaction.config(device.config) }));
  if (json.length > deviceSize) throw badFlight(name, `its device takes ${json.length} bytes`);
  bytes.set(json, deviceAt);
  viewOf(bytes).setUint32(header.deviceSize, json.length, true);
}

const barKinds: ReadonlySet<number> = new Set([
  ...[TraceKind.barRead, TraceKind.barWrite, TraceKind.deviceRead, TraceKind.deviceWrite],
]);
/** An access of a region that is not config space. */
const isBarAccess = ({ kind, numbers }: FlightEntry): boolean =>
  barKinds.has(kind) && numbers[0] !== RegionIndex.config;

/** Whether the device itself had part in a guest's access of a BAR: what the model answers, as its MSI-X table, names nothing. */
const isAnswered = ({ cause, entries }: FlightGroup): boolean =>
  cause !== undefined &&
  entries.some(
    ({ kind, numbers }) =>
      (kind === TraceKind.deviceRead || kind === TraceKind.deviceWrite) && numbers[0] === cause.numbers[0],
  );

/** Values of config space as they are after its registers were redacted. */
class ConfigValues {
  readonly #config: Uint8Array;
  readonly #redaction: Redaction;
  readonly #known = new Map<string, Uint8Array>();

  constructor(config: Uint8Array, redaction: Redaction) {
    this.#config = config;
    this.#redaction = redaction;
  }

  put(entry: FlightEntry, write: EntryWriter): void {
    const place = configAccesses[entry.kind];
    if (!place) return;
    const { numbers } = entry;
    const offset = numbers[place.at]!;
    const size = Math.min(numbers[place.at + 1]!, bytesKept);
    if (!Number.isInteger(offset) || offset < 0 || !(offset + size <= this.#config.length)) return;
    const value = new Uint8Array(new ArrayBuffer(bytesKept));
    putEntryBytes(value, numbers[place.value]!, numbers[place.value + 1]!);
    const redacted = this.#redacted(offset, value.subarray(0, size));
    if (redacted.every((byte, i) => byte === value[i])) return;
    value.set(redacted);
    const view = viewOf(value);
    write.numbers(entry, place.value, [view.getUint32(0, true), view.getUint32(4, true)]);
  }

  #redacted(offset: number, value: Uint8Array): Uint8Array {
    const key = `${offset} ${value.toHex()}`;
    let redacted = this.#known.get(key);
    if (redacted === undefined) {
      const config = this.#config.slice();
      config.set(value, offset);
      redacted = this.#redaction.config(config).slice(offset, offset + value.length);
      if (this.#known.size >= maxKnown) this.#known.clear();
      this.#known.set(key, redacted);
    }
    return redacted;
  }
}

/** Writes over entries where they are. */
class EntryWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #capacity: number;

  constructor(bytes: Uint8Array, capacity: number) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#capacity = capacity;
  }

  #at({ index }: FlightEntry): number {
    return entriesAt + (index % this.#capacity) * entrySize;
  }

  /** @param first index of the first of them */
  numbers(entry: FlightEntry, first: number, values: readonly number[]): void {
    const at = this.#at(entry) + 8 * (first + 1);
    values.forEach((value, i) => this.#view.setFloat64(at + 8 * i, value, true));
  }

  /** Puts a text where the entry's was; one that has become longer is cut. */
  text(entry: FlightEntry, text: string): void {
    const at = this.#at(entry) + 8 * (entryWords - 1);
    const length = this.#view.getUint16(at + 2, true);
    const place = this.#view.getUint32(at + 4, true);
    const bytes = new TextEncoder().encode(text).subarray(0, length);
    bytes.forEach((byte, i) => {
      this.#bytes[textAt + ((place + i) % textSize)] = byte;
    });
    this.#view.setUint16(at + 2, bytes.length, true);
  }
}
