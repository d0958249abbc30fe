// A flight recorder's file as the commands read it.
import { flightSize, isFlight, maxEntries } from "../device/replay/flight-format.ts";
import { readFlight, type FlightRecording } from "../device/replay/read-flight.ts";
import { FileSource, inputName } from "./byte-source.ts";
import { CliError } from "./failure.ts";

/** Reads it whole. @param path `-` is standard input @param instead what to give, where it is none @throws CliError; VfioError (`EBADFLIGHT`) */
export function readFlightFile(path: string, instead: string): FlightRecording {
  using file = new FileSource(path);
  const name = inputName(path);
  if (!isFlight(file.head().bytes))
    throw new CliError(`${name}: it is no flight recorder's file (docs/flight-recorder.md); ${instead}`);
  return readFlight(file.all(flightSize(maxEntries), "a flight recorder's file"), name);
}
