// What the models of a guest's devices did, as flight recorders kept it: the model of today does the same again.
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFlight } from "../../../../src/device/replay/read-flight.ts";
import { replayFlight } from "../../../../src/device/replay/flight-replay.ts";
import { formatTraceEntry, type TraceEntry } from "../../../../src/device/seam/trace-text.ts";

/** Where a VMM's recorders put their files: this for slot 1, with `.2` for slot 2. */
export const newFlight = (): string => join(mkdtempSync(join(tmpdir(), "flight-")), "flight");

const textOf = (entry: TraceEntry | undefined): string =>
  entry === undefined ? "nothing" : formatTraceEntry(entry).trim();

/**
 * Replays what was recorded. @param flight of slot 1
 * @returns accesses of each slot's device that were the same; of one that has more entries than its ring, undefined
 * @throws Error with the entry that differs
 */
export function replayFlights(flight: string): (number | undefined)[] {
  const replayed: (number | undefined)[] = [];
  for (let slot = 1; ; slot++) {
    const path = slot === 1 ? flight : `${flight}.${slot}`;
    if (!existsSync(path)) return replayed;
    const recording = readFlight(readFileSync(path), path);
    if (recording.lost > 0) {
      replayed.push(undefined);
      continue;
    }
    const { accesses, difference } = replayFlight(recording, path);
    if (difference)
      throw new Error(
        `slot ${slot}: entry ${difference.index} is ${textOf(difference.recorded)}, and the model of today has ${textOf(difference.seen)}`,
      );
    replayed.push(accesses);
  }
}
