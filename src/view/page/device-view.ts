// The registers of a device, or of two beside each other; at a point of a recording, or as it was recorded.
import { endpointHeader } from "../../regs/maps/header.ts";
import { addressesAt, addressesOf, addressLegend } from "./addresses.ts";
import { ConfigGrid, legend } from "./config-grid.ts";
import { differences } from "./differences.ts";
import { el, factList, fill, section, scrolled, table, toggles, type Child } from "./dom.ts";
import type { DeviceModel } from "./device-model.ts";
import { Seen } from "../flight-state.ts";
import type { FlightView, Point } from "./flight-view.ts";
import { registerPanel } from "./register-bits.ts";
import { vectorsAt, vectorsOf } from "./vectors.ts";

/** The byte that is chosen at first: of a register that has fields. */
const offsetOfCommand = endpointHeader.offsetOf("command");
/** Whose bytes the grid shows. */
type Side = "guest" | "device";

export class DeviceView {
  readonly element: HTMLElement;
  readonly #models: readonly DeviceModel[];
  readonly #grids: readonly ConfigGrid[];
  readonly #registers = el("div", { class: "registers pair", role: "region", "aria-label": "Register" });
  readonly #addresses: readonly HTMLElement[];
  readonly #vectors: readonly HTMLElement[];
  readonly #flight: FlightView | undefined;
  #at = 0;
  #side: Side;
  #point: Point | undefined;

  /** @param flight the recording, where the first device is that of one */
  constructor(models: readonly [DeviceModel, ...DeviceModel[]], flight: FlightView | undefined) {
    this.#models = models;
    this.#flight = flight;
    this.#side = flight ? "guest" : "device";
    const [left, right] = models;
    this.#grids = models.map(
      (model) =>
        new ConfigGrid(model, {
          beside: right && (model === left ? right : left),
          chosen: (at) => this.#choose(at),
        }),
    );
    this.#addresses = models.map(() => el("div", {}));
    this.#vectors = models.map(() => el("div", {}));
    const each = (draw: (model: DeviceModel, index: number) => Child): HTMLElement =>
      el(
        "div",
        { class: "pair" },
        models.map((model, index) =>
          el("div", {}, right && el("h3", {}, model.data.name), draw(model, index)),
        ),
      );
    this.element = el(
      "div",
      {},
      section("device", "Device", each(overview)),
      right && section("differences", "Differences", differences(left, right)),
      section(
        "config",
        "Config space",
        toggles(
          "Bytes",
          [
            ["device", "As the device had it"],
            ["guest", flight ? "As the guest sees it at this point" : "As the guest reads it"],
          ],
          this.#side,
          (side) => this.#show(side as Side),
        ),
        legend(),
        el(
          "div",
          { class: right ? "config" : "config one" },
          each((_, index) => this.#grids[index]!.element),
          this.#registers,
        ),
      ),
      section(
        "addresses",
        "Addresses",
        addressLegend(),
        each((_, index) => this.#addresses[index]!),
      ),
      section(
        "interrupts",
        "Interrupts",
        each((_, index) => this.#vectors[index]!),
      ),
    );
    this.#choose(offsetOfCommand);
    this.#draw();
  }

  /** Shows a point of the recording. */
  move(point: Point): void {
    this.#point = point;
    this.#draw();
  }

  #show(side: Side): void {
    this.#side = side;
    this.#draw();
  }

  #choose(at: number): void {
    this.#at = at;
    for (const grid of this.#grids) grid.mark(at);
    this.#drawRegister();
  }

  #bytes(model: DeviceModel, index: number): Uint8Array {
    if (this.#side === "device") return model.config;
    const state = index === 0 ? this.#point?.state.config : undefined;
    return state?.length === model.config.length ? state : (model.guest ?? model.config);
  }

  #drawRegister(): void {
    fill(
      this.#registers,
      this.#models.map((model, index) =>
        el("div", {}, registerPanel(model, this.#at, this.#bytes(model, index)), this.#seen(index)),
      ),
    );
  }

  /** How a byte of the guest's is known at a point of a recording. */
  #seen(index: number): Child {
    const seen = index === 0 && this.#side === "guest" ? this.#point?.state.seen[this.#at] : undefined;
    return seen !== undefined && el("p", { class: "note" }, seenWords[seen]);
  }

  #draw(): void {
    const point = this.#point;
    for (const [index, model] of this.#models.entries()) {
      const recorded = index === 0 && point !== undefined && this.#flight !== undefined;
      const before = recorded && this.#side === "guest" ? point.before.config : undefined;
      this.#grids[index]!.show(this.#bytes(model, index), before);
      const flight = this.#flight;
      fill(
        this.#addresses[index]!,
        recorded
          ? addressesAt(model.data, point.before, point.state, (bar) => flight?.whyNot(bar, point.at))
          : addressesOf(model.data),
      );
      fill(this.#vectors[index]!, recorded ? vectorsAt(model.data, point.state) : vectorsOf(model.data));
    }
    this.#drawRegister();
  }
}

const seenWords: Readonly<Record<number, string>> = {
  [Seen.attach]: "No access to this byte is in the recording up to here: it is shown as after the attach.",
  [Seen.read]: "As it was read last.",
  [Seen.written]: "As it was written last; what the device itself makes of that is known once it is read.",
  [Seen.reset]: "Not read since the device was reset: what is the device's own is shown as after the attach.",
};

function overview({ data, layout }: DeviceModel): Child {
  const { name, source, facts, guest, noGuest } = data;
  const hidden = new Set(guest?.patches.filter(({ kind }) => kind === "hidden").map(({ offset }) => offset));
  const rows = layout.capabilities.map((capability) => [
    `0x${capability.offset.toString(16).padStart(3, "0")}`,
    capability.name === "unknown" ? `unknown, ID 0x${capability.id.toString(16)}` : capability.name,
    capability.extended ? `extended, version ${capability.version}` : "standard",
    !guest ? "" : hidden.has(capability.offset) ? "hidden" : "shown",
  ]);
  return [
    factList([["Name", name], ["From", source], ...facts]),
    noGuest !== undefined && el("p", { class: "bad" }, `It cannot be attached: ${noGuest}`),
    layout.malformations.map(({ message }) => el("p", { class: "bad" }, `Malformed: ${message}`)),
    guest?.events.map(({ kind, message }) => el("p", { class: "bad" }, `When attached: ${kind}: ${message}`)),
    rows.length > 0 &&
      scrolled("Capabilities", table("Capabilities", ["At", "Capability", "List", "To the guest"], rows)),
  ];
}
