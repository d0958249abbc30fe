// Prints what a flight recorder kept: each thing that the guest or the VMM did, with what came of it.
import { readLiveFlight } from "../device/replay/live-flight.ts";
import { readFlight, type FlightRecording } from "../device/replay/read-flight.ts";
import { redactFlight } from "../device/replay/redact-flight.ts";
import { Redaction } from "../image/redact.ts";
import { inputName } from "./byte-source.ts";
import { CliError, exitCode } from "./failure.ts";
import { readFlightBytes, watchedFlight } from "./flight-input.ts";
import { print, stdout, tell, writeFiles } from "./output.ts";
import { progress } from "./progress.ts";
import { printable } from "../regs/printable.ts";
import { styleOf, type Style } from "./style.ts";
import { traceLines, type TraceFilter } from "./trace-lines.ts";

export interface TraceOptions extends TraceFilter {
  readonly live?: boolean | undefined;
  readonly redact?: boolean | undefined;
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
}

/** @param color whether text is marked up @returns its exit code */
export function traceCommand(path: string, options: TraceOptions, color: boolean): number {
  const style = styleOf(color);
  return options.live ? followCommand(path, options, style) : printCommand(path, options, style);
}

function printCommand(path: string, options: TraceOptions, style: Style): number {
  const { redact = false, output, force = false } = options;
  const chosen = printedOnly.find((name) => options[name] !== undefined);
  if (output !== undefined && chosen !== undefined)
    throw new CliError(`-o writes the whole recording: without --${chosen}, which is of what is printed`);
  const name = inputName(path);
  let bytes = readFlightBytes(path, "a FlightRecorder writes one");
  if (redact) {
    progress.wait(`redacting ${name}`);
    bytes = redactFlight(bytes, name, new Redaction());
  }
  const recording = readFlight(bytes, name);
  if (output === "-") stdout.writeBytes(bytes);
  else if (output !== undefined) writeFiles([{ path: output, text: bytes }], { force, secret: true });
  else {
    if (!options.json) print(headLine(recording, style));
    if (
      printLines(watchedFlight(recording, `looking through ${name}`), name, options, style) === 0 &&
      recording.count > recording.lost
    )
      tell(`${path}: nothing in it is as asked for`);
  }
  return exitCode.ok;
}

/** Options that mean nothing to a recording that is written. */
const printedOnly = ["config", "bar", "vector", "slow", "why", "json"] as const;

function followCommand(path: string, options: TraceOptions, style: Style): number {
  if (options.output !== undefined) throw new CliError("--live prints: without -o");
  const redaction = options.redact ? new Redaction() : undefined;
  let next: number | undefined;
  for (const bytes of readLiveFlight(path)) {
    const recording = readFlight(redaction ? redactFlight(bytes, path, redaction) : bytes, path);
    if (next === undefined && !options.json) print(headLine(recording, style));
    else if (recording.lost > next!) tell(`${path}: ${recording.lost - next!} entries went by too fast`);
    printLines(recording, path, options, style);
    stdout.flush();
    next = recording.count;
  }
  return exitCode.ok;
}

/** @returns how many */
function printLines(recording: FlightRecording, name: string, filter: TraceFilter, style: Style): number {
  let count = 0;
  for (const line of traceLines(recording, name, filter, style)) {
    print(line);
    count++;
  }
  return count;
}

function headLine({ device, count, lost, startTime }: FlightRecording, style: Style): string {
  const head = `${device?.name ?? "no device attached"}: ${count} entries since ${startText(startTime)}`;
  return `${style.bold(printable(head))}${lost > 0 ? `, the first ${lost} overwritten` : ""}\n`;
}

const startText = (milliseconds: number): string =>
  Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : "no time that there is";
