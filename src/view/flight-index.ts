// A recording taken in once: what each entry and each access is about, how long accesses took, and states to start from, so that
// any point of a million entries is reached by a few thousand of them.
import type { FlightEntries, FlightEntry } from "../device/replay/flight-format.ts";
import { flightGroups } from "../device/replay/flight-groups.ts";
import { TraceKind } from "../device/seam/trace.ts";
import { FlightState, type FlightStart } from "./flight-state.ts";

/** What entries are about, in the order in which a page shows them. */
export const lanes = ["config", "BAR", "device", "platform", "interrupts", "problems"] as const;
export type Lane = (typeof lanes)[number];

const laneOf: Readonly<Record<keyof typeof TraceKind, Lane>> = {
  configRead: "config",
  configWrite: "config",
  barRead: "BAR",
  barWrite: "BAR",
  unanswered: "problems",
  event: "problems",
  deviceRead: "device",
  deviceWrite: "device",
  deviceMap: "device",
  deviceIrqs: "interrupts",
  deviceReset: "device",
  slotAdd: "platform",
  slotRemove: "platform",
  busInsert: "platform",
  busRemove: "platform",
  dmaMap: "platform",
  dmaUnmap: "platform",
  route: "interrupts",
  withdraw: "interrupts",
  intx: "interrupts",
  failed: "problems",
  msiGroup: "interrupts",
  pending: "interrupts",
  intxLine: "interrupts",
  allocate: "platform",
  reserve: "platform",
  release: "platform",
  giveWay: "platform",
  afterReset: "device",
  configBecomes: "config",
  keepFree: "platform",
  endOfInterrupt: "interrupts",
  reset: "device",
  snapshot: "device",
  detach: "device",
  presence: "device",
};
const laneByKind = Object.keys(TraceKind).map((kind) =>
  lanes.indexOf(laneOf[kind as keyof typeof TraceKind]),
);
const problems = lanes.indexOf("problems");

/** Most states that are kept, and the fewest entries between two of them. */
const mostStates = 512;
const leastBetween = 2048;
/** Problems that are listed. */
const maxProblems = 2 ** 16;

/** An access of the guest or of the VMM with all that it set off. Entries are counted from the first that is kept. */
export interface Access {
  readonly from: number;
  /** Past its last entry. */
  readonly to: number;
  /** Of what began it; undefined: the attach, or what an overwritten entry set off. */
  readonly cause: number | undefined;
  /** Seconds from its first entry to its last. */
  readonly took: number;
}

export class FlightIndex {
  readonly entries: FlightEntries;
  /** Entries that are kept. */
  readonly count: number;
  readonly accesses: number;
  /** Of each entry: seconds since the recorder was made, never less than before; index of `lanes`. */
  readonly seconds: Float64Array;
  readonly lane: Uint8Array;
  /** Of each entry its access. */
  readonly accessOf: Uint32Array;
  /** Entries of the lane of problems. */
  readonly problems: readonly number[];
  readonly #from: Uint32Array;
  readonly #cause: Int32Array;
  readonly #hasProblem: Uint8Array;
  readonly #states: FlightState[] = [];
  readonly #between: number;

  constructor(entries: FlightEntries, start: FlightStart) {
    this.entries = entries;
    const count = (this.count = entries.count - entries.lost);
    this.seconds = new Float64Array(count);
    this.lane = new Uint8Array(count);
    this.accessOf = new Uint32Array(count);
    this.#from = new Uint32Array(count + 1);
    this.#cause = new Int32Array(count);
    this.#hasProblem = new Uint8Array(count);
    this.#between = Math.max(leastBetween, Math.ceil(count / mostStates));
    const found: number[] = [];
    const state = new FlightState(start);
    let at = 0;
    let time = 0;
    let access = 0;
    for (const group of flightGroups(entries)) {
      this.#from[access] = at;
      this.#cause[access] = group.cause === undefined ? -1 : group.cause.index - entries.lost;
      for (const entry of group.entries) {
        if (at % this.#between === 0) this.#states.push(state.clone());
        // Times of a file that lies would break every search.
        if (entry.seconds > time) time = entry.seconds < Infinity ? entry.seconds : time;
        this.seconds[at] = time;
        const lane = laneByKind[entry.kind] ?? problems;
        this.lane[at] = lane;
        if (lane === problems) {
          this.#hasProblem[access] = 1;
          if (found.length < maxProblems) found.push(at);
        }
        this.accessOf[at] = access;
        state.apply(entry);
        at++;
      }
      access++;
    }
    this.#from[access] = at;
    this.accesses = access;
    this.problems = found;
    if (this.#states.length === 0) this.#states.push(state);
  }

  /** @param at from 0 to `count` - 1 */
  entry(at: number): FlightEntry {
    return this.entries.entry(at + this.entries.lost);
  }

  /** @param index from 0 to `accesses` - 1 */
  access(index: number): Access {
    const [from, to] = [this.#from[index]!, this.#from[index + 1]!];
    const cause = this.#cause[index]!;
    return { from, to, cause: cause < 0 ? undefined : cause, took: this.took(index) };
  }

  /** Seconds that an access took. */
  took(index: number): number {
    return this.seconds[this.#from[index + 1]! - 1]! - this.seconds[this.#from[index]!]!;
  }

  /** Whether the guest or the VMM began it, and that is known. */
  hasCause(index: number): boolean {
    return this.#cause[index]! >= 0;
  }

  hasProblem(index: number): boolean {
    return this.#hasProblem[index] === 1;
  }

  /** The state after the entry `at`; before all of them with -1. */
  stateAt(at: number): FlightState {
    const key = Math.min(this.#states.length - 1, Math.floor((at + 1) / this.#between));
    const state = this.#states[key]!.clone();
    for (let next = key * this.#between; next <= at; next++) state.apply(this.entry(next));
    return state;
  }

  /** The last entry at or before a time; -1: none. */
  atTime(seconds: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.seconds[middle]! <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
