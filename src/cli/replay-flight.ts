// Runs a flight recorder's file again, and tells where the model of today does something else.
import { jsonText } from "../image/json-text.ts";
import { replayFlight, type FlightDifference } from "../device/replay/flight-replay.ts";
import { formatTraceEntry, type TraceEntry } from "../device/seam/trace-text.ts";
import { CliError, exitCode } from "./failure.ts";
import { readFlightFile, watchedFlight } from "./flight-input.ts";
import { inputName } from "./byte-source.ts";
import { print } from "./output.ts";
import { printable } from "../regs/printable.ts";
import type { ReplayOptions } from "./replay.ts";
import { styleOf } from "./style.ts";

/** @returns 1 if an entry differs */
export function replayFlightCommand(path: string, { json, trace, color }: ReplayOptions): number {
  const recording = readFlightFile(path, "with an image, a trace is needed too: bun-vfio replay IMAGE TRACE");
  const name = inputName(path);
  if (trace) throw new CliError(`${name}: it is a trace already; bun-vfio trace prints it`);
  const report = replayFlight(watchedFlight(recording, `replaying ${name}`), name);
  const { accesses, entries, difference } = report;
  if (json)
    print(
      `${jsonText({ formatVersion: 1, flight: name, ...report, difference: difference ?? null }, undefined, 2)}\n`,
    );
  else {
    const head = `${recording.device?.name ?? ""} from ${name}: ${accesses} accesses, ${entries} entries as recorded`;
    print(
      `${styleOf(color).bold(printable(head))}\n${difference === undefined ? "" : differenceText(difference)}`,
    );
  }
  return difference === undefined ? exitCode.ok : exitCode.found;
}

const differenceText = ({ index, recorded, seen }: FlightDifference): string =>
  `entry ${index} differs\n  recorded: ${entryText(recorded)}\n  today:    ${entryText(seen)}\n`;

const entryText = (entry: TraceEntry | undefined): string =>
  entry === undefined ? "nothing" : printable(formatTraceEntry(entry).trimStart());
