// A flight recorder's file as the commands read it.
import { flightSize, isFlight, maxEntries, type FlightEntry } from "../device/replay/flight-format.ts";
import { readFlight, type FlightRecording } from "../device/replay/read-flight.ts";
import { FileSource, inputName } from "./byte-source.ts";
import { CliError } from "./failure.ts";
import { Progress } from "./progress.ts";

/** A recorder's file, whole. @param path `-` is standard input @param instead what to give, where it is none @throws CliError */
export function readFlightBytes(path: string, instead: string): Uint8Array {
  using file = new FileSource(path);
  if (!isFlight(file.head().bytes))
    throw new CliError(
      `${inputName(path)}: it is no flight recorder's file (docs/flight-recorder.md); ${instead}`,
    );
  return file.all(flightSize(maxEntries), "a flight recorder's file");
}

/** Reads it. @throws as `readFlightBytes`; VfioError (`EBADFLIGHT`) */
export const readFlightFile = (path: string, instead: string): FlightRecording =>
  readFlight(readFlightBytes(path, instead), inputName(path));

/** The same recording, which tells how far it has been gone through. @param what is done with it */
export function watchedFlight(recording: FlightRecording, what: string): FlightRecording {
  const { lost, count } = recording;
  const done = new Progress(what, Math.max(1, count - lost));
  let next = lost;
  const entry = (index: number): FlightEntry => {
    if (index >= next) {
      done.add(index + 1 - next);
      next = index + 1;
    }
    return recording.entry(index);
  };
  return { ...recording, entry };
}
