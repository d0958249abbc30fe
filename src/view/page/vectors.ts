// Interrupts: what the device has, and each vector with its mask, its route and what was counted.
import { hex } from "../../regs/hex-text.ts";
import { msixTableEntry } from "../../regs/maps/msix.ts";
import { irqName } from "../../regs/vfio/irqs.ts";
import type { FlightState } from "../flight-state.ts";
import type { DeviceData } from "../page-data.ts";
import { el, factList, scrolled, table, type Child } from "./dom.ts";

/** Vectors of a table that are listed at most. */
const most = 256;

function facts({ irqs, guest }: DeviceData): Child {
  const counts = irqs.map(
    ({ index, count, maskable }) => `${irqName(index)} ${count}${maskable ? ", maskable" : ""}`,
  );
  return factList([
    ["The host gives", counts.join("; ") || "none"],
    ["INTx is unmasked by", guest?.intx ?? "nothing: there is none"],
    ["MSI vectors", String(guest?.msiVectors ?? 0)],
    ["MSI-X vectors", String(guest?.msix?.guest.vectors ?? 0)],
    ...(guest?.msix?.relocated
      ? ([["The MSI-X table", "was moved out of the way: its page can be mapped"]] as const)
      : []),
  ]);
}

/** Of a device that is not recorded: what its own MSI-X table says, where that is known. */
export function vectorsOf(data: DeviceData): Child {
  const { msixTable } = data;
  if (msixTable === undefined)
    return [facts(data), el("p", { class: "note" }, "What its MSI-X table holds is not recorded.")];
  const bytes = Uint8Array.fromHex(msixTable);
  const count = bytes.length / msixTableEntry.size;
  const rows = Array.from({ length: Math.min(count, most) }, (_, vector) => {
    const entry = msixTableEntry.view(new DataView(bytes.buffer), vector * msixTableEntry.size);
    const { addressHigh, addressLow, data: message, vectorControlMasked } = entry;
    return [
      String(vector),
      vectorControlMasked ? "masked" : "unmasked",
      hex(addressHigh * 2 ** 32 + addressLow),
      hex(message),
    ];
  });
  return [
    facts(data),
    scrolled(
      "MSI-X table",
      table(
        caption("The MSI-X table as recorded", count, rows.length),
        ["Vector", "Mask", "Address", "Data"],
        rows,
      ),
    ),
  ];
}

/** At a point of a recording. */
export function vectorsAt(data: DeviceData, state: FlightState): Child {
  const count = Math.max(data.guest?.msix?.guest.vectors ?? 0, data.guest?.msiVectors ?? 0);
  const rows: string[][] = [];
  let used = 0;
  for (let vector = 0; vector < count; vector++) {
    const route = state.routes.get(vector);
    const [routed, waited] = [state.routed[vector]!, state.waited[vector]!];
    if (!route && routed === 0 && state.masked[vector]) continue;
    used++;
    if (rows.length === most) continue;
    rows.push([
      String(vector),
      data.guest?.msix ? (state.masked[vector] ? "masked" : "unmasked") : "of MSI: in config space",
      route ? `${hex(route.address)}, data ${hex(route.data)}` : "not routed",
      String(routed),
      String(waited),
    ]);
  }
  const headings = [
    "Vector",
    "Mask in the table",
    "Route to the guest",
    "Times routed",
    "Times an event waited",
  ];
  return [
    facts(data),
    factList([["The INTx line is", state.intx ? "connected" : "not connected"]]),
    rows.length === 0
      ? el("p", { class: "note" }, "No vector was unmasked or routed up to here.")
      : scrolled("Vectors", table(caption("Vectors that were in use", used, rows.length), headings, rows)),
  ];
}

const caption = (what: string, all: number, shown: number): string =>
  all > shown ? `${what}: the first ${shown} of ${all}` : `${what}: ${all}`;
