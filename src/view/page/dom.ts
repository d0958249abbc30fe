// Elements made of data. Whatever a device, a guest or a file names becomes text here and nothing else: nothing of the page
// takes markup.
import { printable } from "../../regs/printable.ts";

export type Child = Node | string | number | undefined | false | readonly Child[];
type Value = string | number | boolean | undefined | ((event: Event) => void);
/** Attributes by their names; a function is a listener: `onclick`. */
export type Attributes = Readonly<Record<string, Value>>;

/** An element with its attributes and what is in it. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(element, key, value);
  append(element, children);
  return element;
}

function set(element: Element, key: string, value: Value): void {
  if (value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(key.slice(2), value);
  else element.setAttribute(key, value === true ? "" : printable(String(value)));
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined || child === false) continue;
    if (typeof child === "string" || typeof child === "number") element.append(printable(String(child)));
    else if (child instanceof Node) element.append(child);
    else append(element, child);
  }
}

/** Puts something else into an element. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren();
  append(element, children);
}

export const button = (
  label: Child,
  onclick: (event: Event) => void,
  attributes: Attributes = {},
): HTMLButtonElement => el("button", { type: "button", onclick, ...attributes }, label);

/** A table whose first row are headings; a cell may be an element. */
export function table(
  caption: string,
  headings: readonly string[],
  rows: readonly (readonly Child[])[],
): HTMLTableElement {
  return el(
    "table",
    {},
    el("caption", {}, caption),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        headings.map((heading) => el("th", { scope: "col" }, heading)),
      ),
    ),
    el(
      "tbody",
      {},
      rows.map(([first, ...rest]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, first),
          rest.map((cell) => el("td", {}, cell)),
        ),
      ),
    ),
  );
}

/** Something that scrolls sideways where it is too wide, by the keyboard too. */
export const scrolled = (label: string, ...children: readonly Child[]): HTMLElement =>
  el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": label }, children);

/** A part of the page that is in its table of contents. */
export const section = (id: string, heading: string, ...children: readonly Child[]): HTMLElement =>
  el(
    "section",
    { id, "aria-labelledby": `${id}-heading` },
    el("h2", { id: `${id}-heading` }, heading),
    children,
  );

/** A list of labels with their texts. */
export const factList = (facts: readonly (readonly [string, Child])[]): HTMLElement =>
  el(
    "dl",
    {},
    facts.map(([label, text]) => el("div", {}, el("dt", {}, label), el("dd", {}, text))),
  );

/** A choice of one of several, with its label. */
export function choice(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  changed: (value: string) => void,
): HTMLElement {
  const select = el(
    "select",
    { onchange: () => changed(select.value) },
    options.map(([one, text]) => el("option", { value: one, selected: one === value }, text)),
  );
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

/** Buttons of which one is pressed. */
export function toggles(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  changed: (value: string) => void,
): HTMLElement {
  const buttons = options.map(([one, text]) =>
    button(text, () => press(one), { "aria-pressed": String(one === value), "data-value": one }),
  );
  const press = (now: string): void => {
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset["value"] === now));
    changed(now);
  };
  return el("div", { class: "bar", role: "group", "aria-label": label }, buttons);
}
