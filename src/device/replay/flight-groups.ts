// A recording taken apart into what the guest and the VMM did, each with what it set off.
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { noRegion } from "../seam/guest-answers.ts";
import { TraceKind } from "../seam/trace.ts";
import type { FlightEntries, FlightEntry } from "./flight-format.ts";

/** Entries that begin something: by the guest or by the VMM. Everything between them is what these set off. */
const causes: ReadonlySet<number> = new Set([
  ...[TraceKind.configRead, TraceKind.configWrite, TraceKind.barRead, TraceKind.barWrite],
  ...[TraceKind.endOfInterrupt, TraceKind.reset, TraceKind.snapshot, TraceKind.detach, TraceKind.presence],
  // By what else is on the bus.
  TraceKind.giveWay,
]);
/** Those that stand after what they set off. */
const comesLast: ReadonlySet<number> = new Set([TraceKind.configRead, TraceKind.barRead]);

/** An access at an address that no BAR decodes: its only entry is that nothing answers. */
export const isMiss = ({ kind, numbers }: FlightEntry): boolean =>
  kind === TraceKind.unanswered && numbers[2] === noRegion;
export const isCause = (entry: FlightEntry): boolean => causes.has(entry.kind) || isMiss(entry);
export const standsLast = ({ kind }: FlightEntry): boolean => comesLast.has(kind);

/** What the guest or the VMM did, and what came of it. */
export interface FlightGroup {
  /** Undefined: the attach, or what an overwritten entry set off. */
  readonly cause: FlightEntry | undefined;
  /** As recorded, with the cause; at least one. */
  readonly entries: readonly FlightEntry[];
}

/** Entries of one group; what is longer goes on in a group without a cause. */
const longestGroup = 2 ** 16;

/** The groups of a recording, one after the other. */
export function* flightGroups(recording: FlightEntries): Generator<FlightGroup, void> {
  let cause: FlightEntry | undefined;
  let entries: FlightEntry[] = [];
  for (let index = recording.lost; index < recording.count; index++) {
    const entry = recording.entry(index);
    if (standsLast(entry)) {
      const own = entries.splice(ownFrom(entry, entries, cause));
      if (entries.length > 0) yield { cause, entries };
      yield { cause: entry, entries: [...own, entry] };
    } else if (isCause(entry) || entries.length === longestGroup) {
      if (entries.length > 0) yield { cause, entries };
      cause = isCause(entry) ? entry : undefined;
      entries = [entry];
      continue;
    } else {
      entries.push(entry);
      continue;
    }
    cause = undefined;
    entries = [];
  }
  if (entries.length > 0) yield { cause, entries };
}

/** Where, of the entries before a read, those begin that it took. */
function ownFrom(
  read: FlightEntry,
  entries: readonly FlightEntry[],
  before: FlightEntry | undefined,
): number {
  let from = entries.length;
  while (from > 0 && entries[from - 1] !== before && isOf(read, entries[from - 1]!)) from--;
  return from;
}

function isOf(read: FlightEntry, { kind, numbers }: FlightEntry): boolean {
  const [a, b, c, d, e] = numbers as [number, number, number, number, number];
  const [region, offset, width] =
    read.kind === TraceKind.configRead
      ? [RegionIndex.config, read.numbers[0]!, read.numbers[1]!]
      : [read.numbers[0]!, read.numbers[1]!, read.numbers[2]!];
  const overlaps = (of: number, at: number, size: number): boolean =>
    of === region && at < offset + width && offset < at + size;
  if (kind === TraceKind.deviceRead) return overlaps(a, b, c);
  if (kind === TraceKind.unanswered) return b === 0 && overlaps(c, d, e);
  return kind === TraceKind.failed || kind === TraceKind.pending;
}
