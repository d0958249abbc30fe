// Prints what a flight recorder kept: each thing that the guest or the VMM did, with what came of it.
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { isWanted, type FlightFilter } from "../device/replay/flight-filter.ts";
import { flightGroups } from "../device/replay/flight-groups.ts";
import { formatTraceEntry, traceEntry } from "../device/seam/trace-text.ts";
import { CliError, exitCode } from "./failure.ts";
import { readFlightFile } from "./flight-input.ts";
import { print, tell } from "./output.ts";
import { printable } from "./printable.ts";
import { styleOf, type Style } from "./style.ts";

export interface TraceOptions extends FlightFilter {
  readonly json?: boolean | undefined;
}

/** @param color whether text is marked up @returns its exit code */
export function traceCommand(path: string, options: TraceOptions, color: boolean): number {
  const style = styleOf(color);
  const recording = readFlightFile(path, "a FlightRecorder writes one");
  const { device, lost, count } = recording;
  if (!options.json) {
    const head = `${device?.name ?? "no device attached"}: ${count} entries since ${startText(recording.startTime)}`;
    print(`${style.bold(printable(head))}${lost > 0 ? `, the first ${lost} overwritten` : ""}\n`);
  }
  let shown = 0;
  for (const group of flightGroups(recording)) {
    if (!isWanted(group, options)) continue;
    shown++;
    for (const entry of group.entries) print(line(path, entry, options, style));
  }
  if (shown === 0 && count > lost) tell(`${path}: nothing in it is as asked for`);
  return exitCode.ok;
}

const startText = (milliseconds: number): string =>
  Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : "no time that there is";

function line(path: string, entry: FlightEntry, { json }: TraceOptions, style: Style): string {
  const { index, seconds } = entry;
  try {
    const data = traceEntry(entry.kind, entry.numbers, entry.text);
    if (json) return `${JSON.stringify({ entry: index, seconds, ...data })}\n`;
    const place = `${String(index).padStart(7)} ${(seconds * 1e6).toFixed(1).padStart(12)} us`;
    return `${style.dim(place)}  ${printable(formatTraceEntry(data))}\n`;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CliError(`${path}: its entry ${index} cannot be read: ${error.message}`, { cause: error });
  }
}
