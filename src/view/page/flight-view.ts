// A recording: its time line, the entries of the access at a point, a search, and the state that the rest of the page shows.
import { readFlightEntries } from "../../device/replay/flight-format.ts";
import { TraceKind } from "../../device/seam/trace.ts";
import { BarReasons } from "../bar-reasons.ts";
import { FlightIndex } from "../flight-index.ts";
import { allAccesses, entryText, slowest } from "../flight-search.ts";
import type { FlightStart, FlightState } from "../flight-state.ts";
import type { BarData, FlightData } from "../page-data.ts";
import { AccessList } from "./access-list.ts";
import { button, choice, el, factList, fill, type Child } from "./dom.ts";
import type { DeviceModel } from "./device-model.ts";
import { Timeline, timeText, tookText, type Axis } from "./timeline.ts";

/** Entries of one access that are listed around a point. */
const around = 40;

/** What the rest of the page shows of a point. */
export interface Point {
  readonly at: number;
  /** Before the access that the point is in, and at the point. */
  readonly before: FlightState;
  readonly state: FlightState;
}

/** The bytes of a recording. */
async function bytesOf({ bytes }: FlightData): Promise<Uint8Array> {
  const compressed = new Blob([Uint8Array.fromBase64(bytes)]);
  const stream = compressed.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const startOf = ({ data, config, guest, tables }: DeviceModel): FlightStart => ({
  config: guest ?? config,
  emulated: tables?.emulated ?? new Uint8Array(config.length),
  write: tables?.write ?? new Uint8Array(config.length),
  clear: tables?.clear ?? new Uint8Array(config.length),
  msix: data.guest?.msix?.guest,
});

const nothing: FlightStart = {
  config: new Uint8Array(0),
  emulated: new Uint8Array(0),
  write: new Uint8Array(0),
  clear: new Uint8Array(0),
  msix: undefined,
};

export class FlightView {
  readonly element: HTMLElement;
  readonly index: FlightIndex;
  readonly #timeline: Timeline;
  readonly #moved: (point: Point) => void;
  readonly #here = el("div", {});
  readonly #reasons: BarReasons;
  #at = -1;
  #wanted: number;
  #waiting = false;

  /** @param moved hears of each point that is shown */
  static async open(
    data: FlightData,
    model: DeviceModel | undefined,
    moved: (point: Point) => void,
  ): Promise<FlightView> {
    const entries = readFlightEntries(await bytesOf(data), data.name);
    return new FlightView(new FlightIndex(entries, model ? startOf(model) : nothing), moved);
  }

  private constructor(index: FlightIndex, moved: (point: Point) => void) {
    this.index = index;
    this.#moved = moved;
    this.#reasons = new BarReasons(index);
    this.#wanted = index.count - 1;
    this.#timeline = new Timeline(
      index,
      () => this.#wanted,
      (at) => this.go(at),
    );
    this.element = el(
      "div",
      {},
      this.#summary(),
      index.count > 0 && [this.#tools(), this.#timeline.element, this.#here, el("h3", {}, "Search")],
      index.count > 0 && new AccessList(index, (at) => this.go(at)).element,
    );
    if (index.count > 0) this.#show();
  }

  #summary(): Child {
    const { index } = this;
    const { lost, startTime } = index.entries;
    const [worst] = slowest(index, allAccesses(index), 1);
    const began =
      Math.abs(startTime) <= 8.64e15 ? new Date(startTime).toISOString() : "at no time that there is";
    return factList([
      ["Began", began],
      [
        "Entries",
        `${index.count} in ${index.accesses} accesses${lost > 0 ? `; the first ${lost} are overwritten` : ""}`,
      ],
      ["Until", timeText(index.seconds.at(-1) ?? 0)],
      ["Problems", String(index.problems.length)],
      [
        "Slowest access",
        worst === undefined
          ? "none"
          : button(
              `${timeText(index.took(worst))}: ${this.#causeText(worst)}`,
              () => this.go(this.#causeOf(worst)),
              {
                class: "link",
              },
            ),
      ],
    ]);
  }

  #causeOf(access: number): number {
    const { cause, from } = this.index.access(access);
    return cause ?? from;
  }
  #causeText(access: number): string {
    const { cause } = this.index.access(access);
    return cause === undefined ? "the attach, or what came before" : entryText(this.index.entry(cause));
  }

  #tools(): Child {
    const { index } = this;
    const timeline = this.#timeline;
    const access = (by: number): void => {
      const next = index.accessOf[this.#wanted]! + by;
      if (next >= 0 && next < index.accesses) this.go(this.#causeOf(next));
    };
    const problem = (by: 1 | -1): void => {
      const { problems } = index;
      const at =
        by > 0 ? problems.find((one) => one > this.#wanted) : problems.findLast((one) => one < this.#wanted);
      if (at !== undefined) this.go(at);
    };
    return el(
      "div",
      { class: "bar" },
      button("Previous access", () => access(-1)),
      button("Next access", () => access(1)),
      button("Previous problem", () => problem(-1)),
      button("Next problem", () => problem(1)),
      button("Zoom in", () => timeline.zoom(0.5)),
      button("Zoom out", () => timeline.zoom(2)),
      button("All", () => timeline.zoom(0)),
      choice(
        "Along",
        [
          ["order", "the order of entries"],
          ["time", "time"],
        ],
        "order",
        (axis) => timeline.setAxis(axis as Axis),
      ),
    );
  }

  /** Goes to an entry; shown in the next frame. */
  go(at: number): void {
    this.#wanted = at;
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#show();
    });
  }

  /** Tells of the point again: there is something new to show it. */
  again(): void {
    const { index } = this;
    if (index.count === 0) return;
    const { from } = index.access(index.accessOf[this.#at]!);
    this.#moved({ at: this.#at, before: index.stateAt(from - 1), state: index.stateAt(this.#at) });
  }

  #show(): void {
    const at = Math.max(0, Math.min(this.index.count - 1, this.#wanted));
    if (at === this.#at) return;
    this.#at = at;
    const { index } = this;
    const access = index.access(index.accessOf[at]!);
    const { from, to } = access;
    const text = entryText(index.entry(at));
    this.#timeline.show(at, `${timeText(index.seconds[at]!)}: ${text}`);
    const first = Math.max(from, Math.min(at - around / 2, to - around));
    const last = Math.min(to, first + around);
    const items = Array.from({ length: last - first }, (_, place) => this.#item(first + place));
    fill(
      this.#here,
      el(
        "h3",
        {},
        `Entry ${at + index.entries.lost}, at ${timeText(index.seconds[at]!)}; its access took ${tookText(access)}`,
      ),
      el("ol", { class: "entries", "aria-label": "Entries of this access" }, items),
      (first > from || last < to) &&
        el("p", { class: "note" }, `${to - from} entries; those around this one are listed.`),
    );
    this.again();
  }

  #item(at: number): HTMLElement {
    const entry = this.index.entry(at);
    const bad =
      entry.kind === TraceKind.event ||
      entry.kind === TraceKind.failed ||
      entry.kind === TraceKind.unanswered;
    const time = timeText(this.index.seconds[at]!).padStart(10);
    return el(
      "li",
      { class: bad ? "bad" : undefined, "aria-current": at === this.#at ? "true" : undefined },
      `${String(at + this.index.entries.lost).padStart(7)} ${time}  ${entryText(entry)}`,
    );
  }

  /** What the recording says, up to a point, of why a BAR is not as it was to be. */
  whyNot({ name }: BarData, at: number): Child {
    return this.#reasons.of(name, at).map((reason) =>
      el(
        "div",
        {},
        button(reason.text, () => this.go(reason.at), { class: "link" }),
      ),
    );
  }
}
