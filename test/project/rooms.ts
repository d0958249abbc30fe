// The rooms of the device floor: which of them a file may import from.
import { posix } from "node:path";
import { importsOf } from "./imports.ts";
import type { Files, Violation } from "../support/tree.ts";

/** The rooms, row by row from the ground up. A room imports from its own files and from rows below its own. */
export const rows: readonly (readonly string[])[] = [
  ["address", "host"],
  ["seam"],
  ["pci", "dma", "platforms"],
  ["function"],
  ["passthrough", "backends/kernel", "backends/recorded", "backends/modelled", "vfio-user"],
  ["replay", "migration"],
];

/** The rooms inside the model, likewise; "" is what stands in no room of it. */
const passthroughRows: readonly (readonly string[])[] = [["config"], ["interrupts"], ["bars"], [""]];

/** Rows below that a room may still not use, and why. */
const refused: Readonly<Record<string, { readonly rooms: readonly string[]; readonly why: string }>> = {
  seam: { rooms: ["host"], why: "the seam knows ranges and the registers' floor alone" },
  passthrough: {
    rooms: ["host", "platforms"],
    why: "the model knows a device and a platform by the seam alone",
  },
  "vfio-user": { rooms: ["host"], why: "a socket says nothing of this machine" },
};

/** Floors that a room may not use at all. */
const refusedFloors: Readonly<Record<string, { readonly floors: readonly string[]; readonly why: string }>> =
  {
    seam: { floors: ["ffi", "image"], why: "the seam knows ranges and the registers' floor alone" },
  };

const device = "src/device/";

/** The room of a file, or undefined if it stands in none. */
function roomOf(path: string): string | undefined {
  const inside = path.slice(device.length);
  return rows.flat().find((room) => inside.startsWith(`${room}/`));
}

const rowOf = (table: readonly (readonly string[])[], room: string): number =>
  table.findIndex((row) => row.includes(room));

/** The room inside the model that a file of it stands in. */
function innerRoom(path: string): string {
  const inside = path.slice(`${device}passthrough/`.length);
  return inside.includes("/") ? inside.slice(0, inside.indexOf("/")) : "";
}

function whyNot(path: string, room: string, to: string): string | undefined {
  const target = to.startsWith(device) ? roomOf(to) : undefined;
  if (target === undefined) {
    const floor = to.split("/")[1] ?? "";
    const ban = refusedFloors[room];
    return ban?.floors.includes(floor) ? `${room} may not use ${floor}: ${ban.why}` : undefined;
  }
  if (target === room) {
    if (room !== "passthrough") return undefined;
    const [from, below] = [innerRoom(path), innerRoom(to)];
    if (from === below || rowOf(passthroughRows, below) < rowOf(passthroughRows, from)) return undefined;
    return `passthrough/${from} may not reach up to ${below === "" ? "the model's top" : `passthrough/${below}`}`;
  }
  const ban = refused[room];
  if (ban?.rooms.includes(target)) return `${room} may not use ${target}: ${ban.why}`;
  const [from, below] = [rowOf(rows, room), rowOf(rows, target)];
  if (below < from) return undefined;
  return below === from
    ? `${room} may not use ${target}, which stands beside it`
    : `${room} may not reach up to ${target}`;
}

/** Files of the device floor that stand in no room, and imports that leave a room other than down. */
export function checkRooms(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    if (!path.startsWith(device)) continue;
    const room = roomOf(path);
    if (room === undefined) {
      violations.push({ path, reason: `stands in no room (${rows.flat().join(", ")})` });
      continue;
    }
    if (room === "passthrough" && rowOf(passthroughRows, innerRoom(path)) < 0) {
      violations.push({ path, reason: "stands in no room of the model (config, interrupts, bars)" });
      continue;
    }
    for (const specifier of importsOf(text).filter((name) => name.startsWith("."))) {
      const why = whyNot(path, room, posix.normalize(posix.join(posix.dirname(path), specifier)));
      if (why !== undefined) violations.push({ path, reason: `imports ${specifier}: ${why}` });
    }
  }
  return violations;
}
