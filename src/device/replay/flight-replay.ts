// Runs a flight recorder's file again: the guest's accesses on the model of today, over a backend and a platform that answer as
// they did, entry by entry beside the recording.
import { VfioError } from "../../ffi/errors.ts";
import type { AttachOptions } from "../passthrough/options.ts";
import { VfioPciDevice } from "../passthrough/vfio-pci-device.ts";
import { traceEntry, type TraceEntry } from "../seam/trace-text.ts";
import { TraceKind, type Tracer } from "../seam/trace.ts";
import { putEntryBytes, recordedBackend, recordedPlatform } from "./flight-answers.ts";
import type { FlightEntry } from "./flight-format.ts";
import type { FlightRecording } from "./read-flight.ts";
import { isCause, isMiss, standsLast } from "./flight-groups.ts";
import { messageOf } from "../../regs/message-of.ts";

/** Where a replay left its recording. */
export interface FlightDifference {
  /** Of the entry; the number of entries where the replay has more than the recording. */
  readonly index: number;
  /** Undefined: the recording has no more. */
  readonly recorded: TraceEntry | undefined;
  /** Undefined: the model of today does nothing there. */
  readonly seen: TraceEntry | undefined;
}

/** What a replay came to. */
export interface FlightReport {
  /** Guest accesses and calls of the VMM that were run again. */
  readonly accesses: number;
  /** Entries that were the same. */
  readonly entries: number;
  /** The first one; undefined: there is none. */
  readonly difference: FlightDifference | undefined;
}

/** @throws VfioError (`EBADFLIGHT`) for an entry of a kind that this version does not know */
function asEntry({ index, kind, numbers, text }: FlightEntry, name: string): TraceEntry {
  try {
    return traceEntry(kind, numbers, text);
  } catch (cause) {
    const why = messageOf(cause);
    throw new VfioError(`${name}: its entry ${index} cannot be read: ${why}`, { code: "EBADFLIGHT", cause });
  }
}

/** The same before the recorded entry is looked at. */
interface Difference extends Omit<FlightDifference, "recorded"> {
  readonly recorded: FlightEntry | undefined;
}

class Comparison implements Tracer {
  readonly #recording: FlightRecording;
  /** The entry of the recording that is to come. */
  at = 0;
  difference: Difference | undefined;

  constructor(recording: FlightRecording) {
    this.#recording = recording;
  }

  get next(): FlightEntry | undefined {
    if (this.difference || this.at >= this.#recording.count) return undefined;
    return this.#recording.entry(this.at);
  }

  record(kind: number, a: number, b: number, c: number, d: number, e: number, text?: string): void {
    if (this.difference) return;
    const entry = this.next;
    const numbers = [a, b, c, d, e];
    const same =
      entry?.kind === kind &&
      entry.text === (text === undefined || text === "" ? undefined : text) &&
      numbers.every((number, i) => Object.is(number, entry.numbers[i]));
    if (same) this.at++;
    else this.differ(traceEntry(kind, numbers, text));
  }

  differ(seen: TraceEntry | undefined): void {
    this.difference ??= { index: this.at, recorded: this.next, seen };
  }
}

/** Whether a vCPU makes accesses of so many bytes to memory or ports. */
const isAccess = (width: number): boolean => Number.isInteger(width) && width >= 1 && width <= 8;

/** Does again what an entry says that the guest or the VMM did. @returns whether it can be done */
function act(device: VfioPciDevice, { kind, numbers }: FlightEntry): boolean {
  const [a, b, c, d, e] = numbers as [number, number, number, number, number];
  switch (kind) {
    case TraceKind.configRead:
      device.configRead(a, b);
      return true;
    case TraceKind.configWrite:
      if (c >>> 0 !== c) return false;
      device.configWrite(a, b, c);
      return true;
    case TraceKind.endOfInterrupt:
      device.endOfInterrupt();
      return true;
    case TraceKind.reset:
      device.reset();
      return true;
    case TraceKind.snapshot:
      device.snapshot();
      return true;
    case TraceKind.presence:
      device.checkPresence();
      return true;
    case TraceKind.detach:
      device[Symbol.dispose]();
      return true;
  }
  const bar = device.describe().bars.find(({ region }) => region === a);
  // A file may say anything: no vCPU makes a wider access, nor one that begins outside of its BAR.
  if (bar?.base === undefined || !isAccess(c) || !(Number.isInteger(b) && b >= 0 && b < bar.size))
    return false;
  const data = new Uint8Array(new ArrayBuffer(c));
  putEntryBytes(data, d, e);
  const ports = bar.kind === "io";
  const address = bar.base + b;
  if (kind === TraceKind.barRead)
    return ports ? device.ioRead(address, data) : device.mmioRead(address, data);
  return ports ? device.ioWrite(address, data) : device.mmioWrite(address, data);
}

/**
 * Replays a recording.
 * @param name for messages
 * @throws VfioError (`EBADFLIGHT`) where the recording does not begin with an attach that worked
 */
export function replayFlight(recording: FlightRecording, name: string): FlightReport {
  const { device: traced, lost, count } = recording;
  if (traced === undefined || lost > 0)
    throw new VfioError(
      traced === undefined
        ? `${name}: no device was attached in it, so that there is nothing to replay`
        : `${name}: its first ${lost} entries are overwritten, so that it cannot be replayed`,
      { code: "EBADFLIGHT", hint: "bun-vfio trace shows what it holds." },
    );
  const comparison = new Comparison(recording);
  const next = (): FlightEntry | undefined => comparison.next;
  let accesses = 0;
  const options = { ...traced.options, trace: comparison } as AttachOptions;
  const platform = recordedPlatform(traced, next);
  using device = attachAgain(name, comparison, () =>
    VfioPciDevice.attach(recordedBackend(traced, next), platform, options),
  );
  while (!comparison.difference && comparison.at < count) {
    const cause = nextCause(recording, comparison.at);
    // What is left of the recording the model of today does not do.
    if (cause === undefined) {
      comparison.differ(undefined);
      break;
    }
    const { index, numbers } = cause;
    // What stands before it, though nothing set it off, the model of today does not do.
    if (index > comparison.at && !standsLast(cause) && !isMiss(cause)) comparison.differ(undefined);
    else {
      accesses++;
      const done =
        cause.kind === TraceKind.giveWay
          ? platform.bus.want(numbers[0]!)
          : isMiss(cause)
            ? missAgain(device, numbers)
            : tryAct(device, cause);
      if (!done) comparison.differ(undefined);
    }
    if (comparison.at <= index) comparison.differ(undefined);
  }
  const { difference: found, at } = comparison;
  const difference = found && { ...found, recorded: found.recorded && asEntry(found.recorded, name) };
  // Closing the device at the end is no part of the recording.
  return { accesses, entries: difference ? difference.index : at, difference };
}

/** @throws VfioError (`EBADFLIGHT`): what the file says of its device or of its options may be no device's */
function attachAgain(name: string, comparison: Comparison, attach: () => VfioPciDevice): VfioPciDevice {
  try {
    return attach();
  } catch (cause) {
    const { recorded } = comparison.difference ?? {};
    if (recorded) asEntry(recorded, name);
    const why = messageOf(cause);
    throw new VfioError(`${name}: its attach cannot be run again: ${why}`, { code: "EBADFLIGHT", cause });
  }
}

function nextCause(recording: FlightRecording, from: number): FlightEntry | undefined {
  for (let index = from; index < recording.count; index++) {
    const entry = recording.entry(index);
    if (isCause(entry)) return entry;
  }
  return undefined;
}

/** What the VMM asks for may throw, as it did then: the entries tell whether it is the same. */
function tryAct(device: VfioPciDevice, cause: FlightEntry): boolean {
  try {
    return act(device, cause);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    return true;
  }
}

/** @returns whether it can be done */
function missAgain(device: VfioPciDevice, numbers: readonly number[]): boolean {
  const [, access, , address, width] = numbers as [number, number, number, number, number];
  if (!isAccess(width)) return false;
  const data = new Uint8Array(new ArrayBuffer(width));
  if (access === 0) device.mmioRead(address, data);
  else device.mmioWrite(address, data);
  return true;
}
