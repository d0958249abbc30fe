// BARs on an address line, with what is mapped, trapped and kept for MSI-X; before and after a move.
import { barName } from "../../device/pci/bars.ts";
import { bytesText } from "../../device/address/size-text.ts";
import { hex } from "../../regs/hex-text.ts";
import type { RegionArea } from "../../regs/vfio/regions.ts";
import { addressLine, areasOf, areaWords, widthOf, type AreaKind } from "../address-line.ts";
import type { FlightState } from "../flight-state.ts";
import type { BarData, DeviceData } from "../page-data.ts";
import { el, scrolled, table, type Child } from "./dom.ts";

/** A BAR where it is, at one time. */
interface BarPlace {
  readonly bar: BarData;
  /** Undefined: it decodes nothing. */
  readonly base: number | undefined;
  readonly mapped: readonly RegionArea[];
}

/** Why a BAR is not where, or not mapped as, it was to be. */
export type BarWhy = (bar: BarData) => Child;

/** Of a device that is not recorded: as the host has it, and as the guest finds it. */
export function addressesOf({ guest, noGuest }: DeviceData): Child {
  if (!guest) return el("p", {}, `Not attached to a machine in memory: ${noGuest ?? ""}`);
  const host = guest.bars.map((bar) => ({ bar, base: bar.hostAddress || undefined, mapped: [] }));
  const after = guest.bars.map((bar) => ({ bar, base: bar.guestAddress, mapped: bar.mapped }));
  const why: BarWhy = ({ name }) =>
    guest.events.filter(({ message }) => message.includes(name)).map(({ message }) => el("div", {}, message));
  return [
    line("As the device has them", host, undefined),
    line("As the guest finds them, decoding on", after, guest),
    barTable(after, why),
  ];
}

/** Of a recording: before and after an access. */
export function addressesAt(data: DeviceData, before: FlightState, after: FlightState, why: BarWhy): Child {
  const { guest } = data;
  if (!guest) return el("p", {}, `What its BARs are is not known: ${data.noGuest ?? ""}`);
  const [from, to] = [placesOf(guest.bars, before), placesOf(guest.bars, after)];
  const moved = from.some(({ base }, index) => base !== to[index]!.base);
  return [
    line("Before this access", from, guest),
    line(moved ? "After it: moved" : "After it: where they were", to, guest),
    barTable(to, why),
    slotTable(after),
  ];
}

function placesOf(bars: readonly BarData[], state: FlightState): BarPlace[] {
  return bars.map((bar): BarPlace => {
    const range = [...state.ranges.values()].find(({ region }) => region === bar.region);
    if (!range) return { bar, base: undefined, mapped: [] };
    const mapped = [...state.slots.values()]
      .filter(
        ({ gpa, size }) => range.space === 0 && range.base <= gpa && gpa + size <= range.base + range.size,
      )
      .map(({ gpa, size }) => ({ offset: gpa - range.base, size }));
    return { bar, base: range.base, mapped };
  });
}

function line(label: string, places: readonly BarPlace[], guest: DeviceData["guest"]): Child {
  const lineOf = (title: string, io: boolean): Child => {
    const items = places.flatMap(({ bar, base, mapped }) =>
      base === undefined || (bar.kind === "io") !== io ? [] : [{ bar, base, mapped, size: bar.size }],
    );
    if (items.length === 0) return undefined;
    return scrolled(
      `${label}: ${title}`,
      el(
        "ol",
        { class: "line", "aria-label": `${label}: ${title}` },
        addressLine(items).map((part) =>
          "free" in part
            ? el("li", { class: "space", title: `${hex(part.free)} bytes of other addresses` }, "···")
            : placedBar(part.item, guest),
        ),
      ),
    );
  };
  const silent = places.filter(({ base }) => base === undefined).map(({ bar }) => bar.name);
  return [
    el("h3", {}, label),
    lineOf("memory", false),
    lineOf("I/O ports", true),
    silent.length > 0 && el("p", { class: "note" }, `Decoding nothing: ${silent.join(", ")}`),
  ];
}

function placedBar({ bar, base, mapped }: BarPlace, guest: DeviceData["guest"]): HTMLElement {
  const item = el("li", {}, el("strong", {}, bar.name), ` ${hex(base!)}, ${bytesText(bar.size)}`);
  item.style.flexGrow = String(widthOf(bar.size));
  if (!guest) return item;
  const areas = areasOf({ ...bar, mapped }, guest.msix, guest.configMirrors).map(({ kind, offset, size }) => {
    const area = el(
      "li",
      { class: `a-${kind}`, title: `${areaWords[kind]}; offset ${hex(offset)}, ${bytesText(size)}` },
      `${areaNames[kind]} +${hex(offset)}`,
    );
    area.style.flexGrow = String(widthOf(size));
    return area;
  });
  item.append(el("ol", { class: "areas" }, areas));
  return item;
}

const areaNames: Readonly<Record<AreaKind, string>> = {
  mapped: "mapped",
  trapped: "trapped",
  table: "MSI-X table",
  pba: "PBA",
  hole: "device's table",
  mirror: "config space",
  beyond: "nothing",
};

function barTable(places: readonly BarPlace[], why: BarWhy): Child {
  const kinds = {
    io: "I/O ports",
    memory32: "32-bit memory",
    memory64: "64-bit memory",
    rom: "ROM",
  } as const;
  const areasText = (areas: readonly RegionArea[]): string =>
    areas.length === 0
      ? "nothing"
      : areas.map(({ offset, size }) => `+${hex(offset)}, ${bytesText(size)}`).join("; ");
  const rows = places.map(({ bar, base, mapped }) => [
    bar.name,
    `${kinds[bar.kind]}${bar.prefetchable ? ", prefetchable" : ""}`,
    bar.size === bar.physicalSize
      ? bytesText(bar.size)
      : `${bytesText(bar.size)}, ${bytesText(bar.physicalSize)} on the device`,
    base === undefined ? "decodes nothing" : hex(base),
    bar.kind === "io" ? "ports are trapped" : areasText(mapped),
    why(bar),
  ]);
  return scrolled(
    "BARs",
    table("BARs", ["BAR", "Kind", "Size", "Address", "Mapped", "What was refused"], rows),
  );
}

function slotTable({ slots, ranges, peers }: FlightState): Child {
  const holder = (gpa: number): string => {
    const range = [...ranges.values()].find(
      ({ space, base, size }) => space === 0 && base <= gpa && gpa < base + size,
    );
    return range ? `${barName(range.region)} +${hex(gpa - range.base)}` : "";
  };
  const rows = [...slots].map(([slot, { gpa, size, readOnly }]) => [
    String(slot),
    hex(gpa),
    bytesText(size),
    holder(gpa),
    `${readOnly ? "read-only" : "writable"}${peers.has(gpa) ? ", within reach of peers" : ""}`,
  ]);
  if (rows.length === 0) return el("p", { class: "note" }, "No memory slot shows a part of the device now.");
  return scrolled(
    "Memory slots",
    table("Memory slots", ["Slot", "Guest address", "Size", "Shows", "How"], rows),
  );
}

/** What the colours mean. */
export const addressLegend = (): HTMLElement =>
  el(
    "ul",
    { class: "legend", "aria-label": "What the colours of addresses mean" },
    Object.entries(areaWords).map(([kind, words]) =>
      el("li", {}, el("span", { class: `a-${kind}`, "aria-hidden": "true" }, "+0x0"), " ", words),
    ),
    el("li", {}, "Widths grow with the logarithm of sizes."),
  );
