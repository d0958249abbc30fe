// Entries of a flight recorder as lines: those that are asked for, each with what it belongs to.
import { jsonText } from "../image/json-text.ts";
import { isWanted, type FlightFilter } from "../device/replay/flight-filter.ts";
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { flightGroups } from "../device/replay/flight-groups.ts";
import type { FlightRecording } from "../device/replay/read-flight.ts";
import { formatTraceEntry, traceEntry } from "../device/seam/trace-text.ts";
import { CliError } from "./failure.ts";
import { printable } from "../regs/printable.ts";
import type { Style } from "./style.ts";

/** What is wanted of a recording, and how. */
export interface TraceFilter extends FlightFilter {
  readonly json?: boolean | undefined;
}

/** @param name of the recording, for messages */
export function* traceLines(
  recording: FlightRecording,
  name: string,
  filter: TraceFilter,
  style: Style,
): Generator<string, void> {
  for (const group of flightGroups(recording))
    if (isWanted(group, filter)) for (const entry of group.entries) yield line(name, entry, filter, style);
}

function line(path: string, entry: FlightEntry, { json }: TraceFilter, style: Style): string {
  const { index, seconds } = entry;
  try {
    const data = traceEntry(entry.kind, entry.numbers, entry.text);
    if (json) return `${jsonText({ entry: index, seconds, ...data })}\n`;
    const place = `${String(index).padStart(7)} ${(seconds * 1e6).toFixed(1).padStart(12)} us`;
    return `${style.dim(place)}  ${printable(formatTraceEntry(data))}\n`;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CliError(`${path}: its entry ${index} cannot be read: ${error.message}`, { cause: error });
  }
}
