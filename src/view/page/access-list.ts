// What of a recording is looked for, and what was found.
import {
  allAccesses,
  entryText,
  searchFlight,
  slowest,
  wantsAll,
  type FlightSearch,
} from "../flight-search.ts";
import type { FlightIndex } from "../flight-index.ts";
import { button, choice, el, fill, scrolled, table } from "./dom.ts";
import { timeText, tookText } from "./timeline.ts";

/** Found accesses that are listed at once. */
const perPage = 20;
/** Found accesses that can be put in the order of their times. */
const mostSlowest = 200;
/** Milliseconds after which the search lets the page go on. */
const atOnce = 25;

const times: readonly (readonly [string, string])[] = [
  ["", "any time"],
  ["0.000001", "1 µs or more"],
  ["0.00001", "10 µs or more"],
  ["0.0001", "100 µs or more"],
  ["0.001", "1 ms or more"],
  ["0.01", "10 ms or more"],
];

export class AccessList {
  readonly element: HTMLElement;
  readonly #index: FlightIndex;
  readonly #chosen: (at: number) => void;
  readonly #results = el("div", {});
  readonly #said = el("p", { role: "status", class: "note" });
  #search: FlightSearch = {};
  #slowFirst = false;
  #found: number[] | Uint32Array = [];
  #run = 0;

  /** @param chosen an entry was chosen */
  constructor(index: FlightIndex, chosen: (at: number) => void) {
    this.#index = index;
    this.#chosen = chosen;
    const text = el("input", { type: "search", placeholder: "0x010, BAR2, memory slot …" });
    const vector = el("input", { type: "number", min: 0, max: 2047 });
    const bars = [0, 1, 2, 3, 4, 5].map((bar) => [String(bar), `BAR${bar}`] as const);
    this.element = el(
      "div",
      {},
      el(
        "form",
        {
          class: "bar",
          role: "search",
          onsubmit: (event) => {
            event.preventDefault();
            this.look({
              text: text.value.trim().toLowerCase(),
              vector: vector.value === "" ? undefined : Number(vector.value),
            });
          },
        },
        el("label", { class: "choice" }, "Text", text),
        choice("About", [["", "anything"], ["config", "config space"], ...bars], "", (value) =>
          this.look({
            config: value === "config",
            bar: /^\d$/.test(value) ? Number(value) : undefined,
          }),
        ),
        el("label", { class: "choice" }, "Vector", vector),
        choice("Took", times, "", (value) => this.look({ slow: value === "" ? undefined : Number(value) })),
        el("button", { type: "submit" }, "Search"),
      ),
      el(
        "div",
        { class: "bar" },
        button("Problems", (event) => this.#press(event, (on) => this.look({ why: on })), {
          "aria-pressed": "false",
        }),
        button("Slowest first", (event) => this.#press(event, (on) => this.#order(on)), {
          "aria-pressed": "false",
        }),
      ),
      this.#said,
      this.#results,
    );
    this.look({});
  }

  #press(event: Event, act: (on: boolean) => void): void {
    const pressed = event.currentTarget as HTMLElement;
    const on = pressed.getAttribute("aria-pressed") !== "true";
    pressed.setAttribute("aria-pressed", String(on));
    act(on);
  }

  #order(slowFirst: boolean): void {
    this.#slowFirst = slowFirst;
    this.look({});
  }

  /** Looks for something besides what is looked for already. */
  look(search: FlightSearch): void {
    this.#search = { ...this.#search, ...search };
    const run = ++this.#run;
    if (wantsAll(this.#search)) return this.#end(allAccesses(this.#index));
    const found: number[] = [];
    const steps = searchFlight(this.#index, this.#search);
    const step = (): void => {
      if (run !== this.#run) return;
      const end = performance.now() + atOnce;
      for (let next = steps.next(); ; next = steps.next()) {
        if (next.done) return this.#end(found);
        if (next.value !== undefined) found.push(next.value);
        else if (performance.now() > end) break;
      }
      fill(this.#said, `Looking: ${found.length} found so far …`);
      setTimeout(step);
    };
    step();
  }

  #end(found: number[] | Uint32Array): void {
    this.#found = this.#slowFirst ? slowest(this.#index, found, mostSlowest) : found;
    const order = this.#slowFirst && found.length > mostSlowest ? `, the slowest ${mostSlowest} of them` : "";
    fill(this.#said, `${found.length} of ${this.#index.accesses} accesses${order}`);
    this.#turn(0);
  }

  #turn(page: number): void {
    const from = page * perPage;
    const pages = Math.ceil(this.#found.length / perPage);
    const rows = [...this.#found.slice(from, from + perPage)].map((access) => {
      const found = this.#index.access(access);
      const { from: first, to, cause } = found;
      const at = cause ?? first;
      const problem = this.#index.hasProblem(access) ? this.#problemOf(first, to) : "";
      return [
        button(`entry ${at + this.#index.entries.lost}`, () => this.#chosen(at), { class: "link" }),
        timeText(this.#index.seconds[first]!),
        tookText(found),
        el(
          "span",
          { class: "mono" },
          cause === undefined
            ? `attach: ${entryText(this.#index.entry(first))}`
            : entryText(this.#index.entry(at)),
        ),
        String(to - first),
        el("span", { class: "bad" }, problem),
      ];
    });
    const headings = ["Entry", "At", "Took", "What", "Entries", "Problem"];
    fill(
      this.#results,
      rows.length > 0 && scrolled("Accesses found", table("Accesses", headings, rows)),
      pages > 1 &&
        el(
          "div",
          { class: "bar" },
          button("Previous page", () => this.#turn(page - 1), { disabled: page === 0 }),
          `page ${page + 1} of ${pages}`,
          button("Next page", () => this.#turn(page + 1), { disabled: page + 1 >= pages }),
        ),
    );
  }

  /** The words of an access's first event, or else its first problem. */
  #problemOf(from: number, to: number): string {
    const entries = Array.from({ length: to - from }, (_, at) => this.#index.entry(from + at));
    const texts = entries.map(entryText);
    const of = (pattern: RegExp): string | undefined => texts.find((text) => pattern.test(text));
    return of(/^event /) ?? of(/^failed /) ?? of(/^(?:all ones|dropped)/) ?? "";
  }
}
