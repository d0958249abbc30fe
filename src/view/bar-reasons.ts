// What a recording says of why a BAR is not mapped, or not where it was to be.
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { TraceKind } from "../device/seam/trace.ts";
import type { FlightIndex } from "./flight-index.ts";

/** An event or a failure that names a BAR. */
export interface BarReason {
  /** Its entry, counted from the first that is kept. */
  readonly at: number;
  readonly text: string;
}

const barNames = /\b(?:BAR\d|ROM)\b/g;

/** Found once in all of a recording. */
export class BarReasons {
  readonly #index: FlightIndex;
  /** Entries that name a BAR, in order. */
  readonly #named = new Map<string, { readonly at: number; readonly about: string }[]>();

  constructor(index: FlightIndex) {
    this.#index = index;
    for (const at of index.problems) {
      const entry = index.entry(at);
      if (entry.kind !== TraceKind.event && entry.kind !== TraceKind.failed) continue;
      const about = `${entry.kind} ${entry.numbers[0]}`;
      for (const name of new Set(textOf(entry).match(barNames))) {
        const known = this.#named.get(name) ?? [];
        known.push({ at, about });
        this.#named.set(name, known);
      }
    }
  }

  /** Up to the entry `at`, the last of each kind. @param name as `BAR2` */
  of(name: string, at: number): BarReason[] {
    const last = new Map<string, number>();
    for (const known of this.#named.get(name) ?? []) {
      if (known.at > at) break;
      last.set(known.about, known.at);
    }
    return [...last.values()].map((found) => ({ at: found, text: textOf(this.#index.entry(found)) }));
  }
}

const textOf = ({ text }: FlightEntry): string => text ?? "";
