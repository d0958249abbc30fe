// Config space, 16 bytes a row: each byte in the colour of whoever answers for it. Arrow keys go through the bytes.
import { hex } from "../../regs/hex-text.ts";
import { hasEffect, ownerOf, ownerWords, writableBits, type ByteOwner } from "../byte-owner.ts";
import { el, scrolled, type Child } from "./dom.ts";
import { isUnknown, type DeviceModel } from "./device-model.ts";

const perRow = 16;
const digits = (byte: number): string => byte.toString(16).padStart(2, "0");

export interface GridOptions {
  /** A byte was chosen. */
  readonly chosen: (at: number) => void;
  /** A device whose bytes are compared. */
  readonly beside?: DeviceModel | undefined;
}

/** The grid of one device. */
export class ConfigGrid {
  readonly element: HTMLElement;
  readonly #model: DeviceModel;
  readonly #cells: (HTMLTableCellElement | undefined)[] = [];
  #at = 0;

  constructor(model: DeviceModel, options: GridOptions) {
    this.#model = model;
    const columns = Array.from({ length: perRow }, (_, column) => column);
    const head = el(
      "tr",
      {},
      el("th", { scope: "col" }, "at"),
      columns.map((column) => el("th", { scope: "col" }, column.toString(16))),
      el("th", { scope: "col" }, "registers"),
    );
    const body = el("tbody", {}, [...this.#rows(options.beside)]);
    const grid = el(
      "table",
      {
        class: "grid",
        role: "grid",
        "aria-label": `Config space of ${model.data.name}`,
        onclick: (event) => this.#clicked(event, options),
        onkeydown: (event) => this.#pressed(event as KeyboardEvent, options),
      },
      el("thead", {}, head),
      body,
    );
    this.element = scrolled(`Config space of ${model.data.name}`, grid);
    this.element.removeAttribute("tabindex");
    this.#cells[0]?.setAttribute("tabindex", "0");
  }

  *#rows(beside: DeviceModel | undefined): Generator<HTMLTableRowElement> {
    const { config } = this.#model;
    for (let from = 0; from < config.length;) {
      let to = from;
      while (to < config.length && this.#isEmpty(to, beside)) to += perRow;
      if (to - from > perRow) {
        const range = `${hex(from, 3)} to ${hex(to - 1, 3)}`;
        yield el(
          "tr",
          {},
          el("th", { scope: "row" }, hex(from, 3)),
          el("td", { class: "none", colspan: perRow + 1 }, `${range}: zeros that no register describes`),
        );
        from = to;
      } else {
        yield this.#row(from, beside);
        from += perRow;
      }
    }
  }

  /** Whether a row has neither a register nor a byte other than 0, in the device beside it neither. */
  #isEmpty(from: number, beside: DeviceModel | undefined): boolean {
    return [this.#model, beside].every((model) => {
      if (model === undefined || from >= model.config.length) return true;
      const row = (bytes: Uint8Array | undefined): boolean =>
        bytes?.subarray(from, from + perRow).every((byte) => byte === 0) ?? true;
      return (
        row(model.config) &&
        row(model.guest) &&
        model.registers.slice(from, from + perRow).every((register) => register === undefined)
      );
    });
  }

  #row(from: number, beside: DeviceModel | undefined): HTMLTableRowElement {
    const { registers } = this.#model;
    const cells = Array.from({ length: perRow }, (_, column) => this.#cell(from + column, beside));
    const names = [...new Set(registers.slice(from, from + perRow))].flatMap((one) => {
      if (one === undefined || one.offset < from) return [];
      return one.base === one.offset && one.base !== 0 ? `[${one.where}] ${one.name}` : one.name;
    });
    const shown = names.length > 8 ? [...names.slice(0, 8), "…"] : names;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, hex(from, 3)),
      cells,
      el("td", { class: "names" }, shown.join(" ")),
    );
  }

  #cell(at: number, beside: DeviceModel | undefined): HTMLTableCellElement {
    const model = this.#model;
    const { registers, tables, config } = model;
    const classes: string[] = [];
    const words = [
      hex(at, 3),
      registers[at] ? `${registers[at].where} ${registers[at].name}` : "no register",
    ];
    const owner: ByteOwner | undefined = tables
      ? ownerOf(tables, at, isUnknown(model, at))
      : isUnknown(model, at)
        ? "unknown"
        : undefined;
    if (owner) {
      classes.push(`o-${owner}`);
      words.push(ownerWords[owner]);
    }
    if (tables && writableBits(tables, at) !== 0) {
      classes.push("w");
      words.push("writable");
    }
    if (tables && hasEffect(tables, at)) {
      classes.push("fx");
      words.push("a write has a side effect");
    }
    if (beside && beside.config[at] !== config[at]) {
      classes.push("unlike");
      words.push("differs");
    }
    const cell = el(
      "td",
      {
        class: classes.join(" "),
        "data-at": at,
        tabindex: -1,
        title: words.join("; "),
        "aria-selected": "false",
      },
      digits(config[at]!),
    );
    this.#cells[at] = cell;
    return cell;
  }

  /** Shows bytes. @param before those that are marked where they differ */
  show(bytes: Uint8Array, before?: Uint8Array): void {
    for (const [at, cell] of this.#cells.entries()) {
      if (!cell) continue;
      const text = digits(bytes[at]!);
      if (cell.textContent !== text) cell.textContent = text;
      cell.classList.toggle("changed", before !== undefined && before[at] !== bytes[at]);
    }
  }

  /** Marks a byte, and the register that it is a part of. */
  mark(at: number): void {
    const { registers } = this.#model;
    this.#cells[this.#at]?.setAttribute("tabindex", "-1");
    for (const cell of this.#cells) {
      if (!cell) continue;
      const own = Number(cell.dataset["at"]);
      if (cell.getAttribute("aria-selected") !== String(own === at))
        cell.setAttribute("aria-selected", String(own === at));
      cell.classList.toggle("near", registers[at] !== undefined && registers[own] === registers[at]);
    }
    if (this.#cells[at]) this.#at = at;
    this.#cells[this.#at]?.setAttribute("tabindex", "0");
  }

  #clicked(event: Event, { chosen }: GridOptions): void {
    const cell = (event.target as Element).closest<HTMLElement>("td[data-at]");
    if (cell) chosen(Number(cell.dataset["at"]));
  }

  #pressed(event: KeyboardEvent, { chosen }: GridOptions): void {
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -perRow,
      ArrowDown: perRow,
      PageUp: -perRow * 8,
      PageDown: perRow * 8,
      Home: -(this.#at % perRow),
      End: perRow - 1 - (this.#at % perRow),
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    let at = this.#at + step;
    // Rows that are left out are stepped over.
    while (at >= 0 && at < this.#cells.length && !this.#cells[at]) at += Math.sign(step) * perRow;
    const cell = this.#cells[at];
    if (!cell) return;
    chosen(at);
    cell.focus();
  }
}

/** What the colours mean. */
export function legend(): HTMLElement {
  const sample = (classes: string, text: Child): HTMLElement =>
    el("li", {}, el("span", { class: classes, "aria-hidden": "true" }, "a5"), " ", text);
  return el(
    "ul",
    { class: "legend", "aria-label": "What the colours mean" },
    Object.entries(ownerWords).map(([owner, words]) => sample(`o-${owner}`, words)),
    sample("w", "underlined: a guest's write changes it"),
    sample("fx", "double edge: a write does something besides"),
  );
}
