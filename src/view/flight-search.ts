// Looks for accesses of a recording, a piece at a time: a million of them take longer than a page may stand still.
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { isWanted, type FlightFilter } from "../device/replay/flight-filter.ts";
import { formatTraceEntry, traceEntry } from "../device/seam/trace-text.ts";
import type { FlightIndex } from "./flight-index.ts";

export interface FlightSearch extends FlightFilter {
  /** A part of an entry's text, in lower case. */
  readonly text?: string | undefined;
}

/** An entry as a line, not indented; of a kind that this version does not know too. */
export function entryText({ kind, numbers, text }: FlightEntry): string {
  try {
    return formatTraceEntry(traceEntry(kind, numbers, text)).trimStart();
  } catch {
    // A file may say anything: numbers that no text fits, or a kind of a newer version.
    return `an entry that cannot be read: kind ${kind}, ${numbers.join(" ")}`;
  }
}

/** Whether every access is as wanted: nothing has to be looked at. */
export const wantsAll = ({ text = "", config, bar, vector, slow, why }: FlightSearch): boolean =>
  text === "" && !config && !why && [bar, vector, slow].every((one) => one === undefined);

/** Every access, in order. */
export function allAccesses({ accesses }: FlightIndex): Uint32Array {
  const all = new Uint32Array(accesses);
  for (let access = 0; access < accesses; access++) all[access] = access;
  return all;
}

/** Accesses that are as wanted, in order. Undefined in between: a place to pause. */
export function* searchFlight(index: FlightIndex, search: FlightSearch): Generator<number | undefined, void> {
  const { text = "", slow, why } = search;
  const filters = [search.config, search.bar, search.vector, search.why].some(
    (one) => one !== undefined && one !== false,
  );
  for (let access = 0; access < index.accesses; access++) {
    if (access % pauseEvery === 0) yield undefined;
    // What the index knows of each access costs nothing to ask.
    if (slow !== undefined && index.took(access) < slow) continue;
    if (why && !index.hasProblem(access)) continue;
    if ((filters || text !== "") && !isAsWanted(index, access, search, text)) continue;
    yield access;
  }
}

const pauseEvery = 4096;

function isAsWanted(index: FlightIndex, access: number, search: FlightSearch, text: string): boolean {
  const { from, to, cause } = index.access(access);
  const entries = Array.from({ length: to - from }, (_, at) => index.entry(from + at));
  const group = { cause: cause === undefined ? undefined : index.entry(cause), entries };
  // Times are the index's: those of the file may lie.
  if (!isWanted(group, { ...search, slow: undefined })) return false;
  return text === "" || entries.some((entry) => entryText(entry).toLowerCase().includes(text));
}

/** The slowest accesses of those that have a cause, the slowest first. @param most how many of them */
export function slowest(index: FlightIndex, accesses: Iterable<number>, most: number): number[] {
  const kept: number[] = [];
  let least = -1;
  for (const access of accesses) {
    const took = index.took(access);
    if (!index.hasCause(access)) continue;
    if (kept.length === most && took <= least) continue;
    let [low, high] = [0, kept.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (index.took(kept[middle]!) >= took) low = middle + 1;
      else high = middle;
    }
    kept.splice(low, 0, access);
    if (kept.length > most) kept.pop();
    least = kept.length === most ? index.took(kept.at(-1)!) : -1;
  }
  return kept;
}
