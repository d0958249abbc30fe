// Prints what a flight recorder kept: each thing that the guest or the VMM did, with what came of it.
import { InvalidArgumentError, type Command } from "commander";
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { isWanted, type FlightFilter } from "../device/replay/flight-filter.ts";
import { flightGroups } from "../device/replay/flight-groups.ts";
import { formatTraceEntry, traceEntry } from "../device/seam/trace-text.ts";
import { CliError, exitCode } from "./failure.ts";
import { readFlightFile } from "./flight-input.ts";
import { print, tell } from "./output.ts";
import { printable } from "./printable.ts";
import { styleOf, type Style } from "./style.ts";

interface TraceOptions extends FlightFilter {
  readonly json?: boolean | undefined;
}

const units: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1 };

/** @returns seconds @throws InvalidArgumentError */
function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError("It is a time, as 50us, 2ms or 1s.");
  return Number(number) * units[unit!]!;
}

const upTo =
  (last: number) =>
  (text: string): number => {
    if (/^\d{1,4}$/.test(text) && Number(text) <= last) return Number(text);
    throw new InvalidArgumentError(`It is a number from 0 to ${last}.`);
  };

/** Adds the command. @param done takes its exit code */
export function addTraceCommand(program: Command, color: boolean, done: (code: number) => void): void {
  program
    .command("trace")
    .description(
      "print what a flight recorder kept: what the guest did, and what came of it (docs/flight-recorder.md)",
    )
    .argument("<file>", "a flight recorder's file; - for standard input")
    .option("--config", "accesses to config space alone")
    .option("--bar <n>", "what has to do with this BAR alone", upTo(5))
    .option("--vector <n>", "what has to do with this interrupt vector alone", upTo(2047))
    .option("--slow <time>", "what took at least as long, as 50us", duration)
    .option("--why", "where nothing answered, something failed, or the model did less than was asked")
    .option("--json", "an object a line")
    .action((file: string, options: TraceOptions) => done(traceCommand(file, options, styleOf(color))));
}

function traceCommand(path: string, options: TraceOptions, style: Style): number {
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
