// A host: its ports and devices as a tree in the colours of their verdicts, and its IOMMU groups with who blocks them.
import type { HostData, HostDevice, HostGroup, VerdictState } from "../page-data.ts";
import { button, choice, el, factList, fill, scrolled, table, type Child } from "./dom.ts";

/** A sign beside the colour, for those who do not tell colours apart. */
const signs: Readonly<Record<VerdictState, string>> = {
  ready: "✓",
  bindable: "○",
  "in-use": "●",
  blocked: "✗",
  bridge: "─",
  "no-iommu": "?",
};

const badge = (state: VerdictState, verdict: string): HTMLElement =>
  el("span", { class: `v v-${state}` }, `${signs[state]} ${verdict}`);

export class HostView {
  readonly element: HTMLElement;
  readonly #host: HostData;
  readonly #items = new Map<string, HTMLElement>();
  readonly #details = el("div", { "aria-live": "polite" });
  readonly #open: (bdf: string) => Child;

  /** @param open what leads to the registers of a device */
  constructor(host: HostData, open: (bdf: string) => Child) {
    this.#host = host;
    this.#open = open;
    const roots = [...new Set(host.devices.map(({ parent }) => parent))].filter(
      (parent) => !host.devices.some(({ bdf }) => bdf === parent),
    );
    const tree = el(
      "ul",
      {
        class: "tree",
        role: "tree",
        "aria-label": "PCI devices",
        onkeydown: (event) => this.#pressed(event as KeyboardEvent),
      },
      roots.map((root) =>
        el(
          "li",
          { role: "treeitem", "aria-expanded": "true", "aria-selected": "false" },
          el("span", { class: "muted" }, root),
          el("ul", { role: "group" }, this.#children(root)),
        ),
      ),
    );
    const states = [...new Set(host.devices.map(({ state }) => state))];
    const words = (state: VerdictState): string => host.devices.find((one) => one.state === state)!.verdict;
    this.element = el(
      "div",
      {},
      factList(host.facts),
      el(
        "div",
        { class: "bar" },
        choice(
          "Verdict",
          [["", "all"], ...states.map((state) => [state, words(state)] as const)],
          "",
          (state) => this.#filter(state),
        ),
      ),
      el(
        "div",
        { class: "pair" },
        el("div", {}, el("h3", {}, "Devices"), tree),
        el("div", {}, this.#details),
      ),
      this.#groups(),
    );
    const [first] = this.#items.values();
    first?.setAttribute("tabindex", "0");
    fill(
      this.#details,
      el("h3", {}, "Choose a device or a group"),
      el("p", {}, "Its verdict, its group, and who stands in the way are shown here."),
    );
  }

  #children(parent: string): Child {
    return this.#host.devices
      .filter((device) => device.parent === parent)
      .map((device) => {
        const { bdf, title, driver, group, state, verdict, reason } = device;
        const text = [
          bdf,
          title,
          driver === undefined ? "" : `[${driver}]`,
          group === undefined ? "" : `group ${group}`,
        ];
        const behind = this.#host.devices.some((one) => one.parent === bdf);
        const item = el(
          "li",
          {
            role: "treeitem",
            tabindex: -1,
            "aria-selected": "false",
            "aria-expanded": behind ? "true" : undefined,
            "data-bdf": bdf,
            "data-state": state,
            onclick: (event) => {
              event.stopPropagation();
              this.choose(bdf);
            },
          },
          el(
            "span",
            { class: "node" },
            text.filter((one) => one !== "").join(" "),
            " ",
            badge(state, verdict),
            reason !== "" && ` ${reason}`,
          ),
          behind && el("ul", { role: "group" }, this.#children(bdf)),
        );
        this.#items.set(bdf, item);
        return item;
      });
  }

  #groups(): Child {
    const { groups } = this.#host;
    if (groups.length === 0) return el("p", { class: "note" }, "No IOMMU groups: no IOMMU is on.");
    const rows = groups.map((group) => [
      button(`Group ${group.id}`, () => this.#showGroup(group), { class: "link" }),
      badge(group.state, group.verdict),
      group.reason,
      group.members.map(({ name }) => name).join(" "),
    ]);
    return [
      el("h3", {}, "IOMMU groups"),
      scrolled("IOMMU groups", table("IOMMU groups", ["Group", "Verdict", "Why", "Members"], rows)),
    ];
  }

  /** Shows a device. */
  choose(bdf: string): void {
    const device = this.#host.devices.find((one) => one.bdf === bdf);
    if (!device) return;
    for (const [name, item] of this.#items) {
      item.setAttribute("aria-selected", String(name === bdf));
      item.setAttribute("tabindex", name === bdf ? "0" : "-1");
    }
    const group = this.#host.groups.find(({ id }) => id === device.group);
    fill(this.#details, this.#deviceDetails(device), group && groupDetails(group));
  }

  #deviceDetails({ bdf, title, state, verdict, reason, culprits, facts }: HostDevice): Child {
    return [
      el("h3", {}, `${bdf} ${title}`),
      el("p", {}, badge(state, verdict), reason === "" ? "" : ` ${reason}`),
      culprits.length > 0 && el("p", {}, `In the way: ${culprits.join(", ")}`),
      factList(facts),
      this.#open(bdf),
    ];
  }

  #showGroup(group: HostGroup): void {
    fill(this.#details, groupDetails(group));
    this.#details.scrollIntoView({ block: "nearest" });
  }

  #filter(state: string): void {
    for (const item of this.#items.values()) {
      const own = item.dataset["state"] === state || state === "";
      const inside = item.querySelector(`[data-state="${CSS.escape(state)}"]`) !== null;
      item.hidden = !own && !inside;
    }
  }

  #pressed(event: KeyboardEvent): void {
    const shown = [...this.#items].filter(([, item]) => item.offsetParent !== null);
    const now = shown.findIndex(([, item]) => item === document.activeElement);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: shown.length - 1 }[event.key];
    const bdf = shown[next ?? -1]?.[0];
    if (bdf === undefined) return;
    event.preventDefault();
    this.choose(bdf);
    this.#items.get(bdf)?.focus();
  }
}

function groupDetails({ id, state, verdict, reason, members }: HostGroup): Child {
  const rows = members.map(({ name, driver, blocks, state, uses }) => [
    name,
    driver ?? "no driver",
    el("span", { class: blocks ? "bad" : undefined }, blocks ? `✗ ${state}` : state),
    uses.map((use) => el("div", {}, use)),
  ]);
  return [
    el("h3", {}, `Group ${id}`),
    el("p", {}, badge(state, verdict), ` ${reason}`),
    scrolled(
      `Members of group ${id}`,
      table(`Members of group ${id}`, ["Member", "Driver", "To the group", "The host uses it"], rows),
    ),
  ];
}
