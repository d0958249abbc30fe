// A register as a diagram of its bits, and as a table of its fields.
import { hex } from "../../regs/hex-text.ts";
import { partsOf, rawAt, textAt, type BitPart, type PlacedRegister } from "../register-at.ts";
import { el, factList, scrolled, table, type Child } from "./dom.ts";
import type { DeviceModel } from "./device-model.ts";

/** Bits of one line of the diagram. */
const perLine = 32;
/** A part of fewer bits has its name written upwards. */
const thin = 4;
/** Of the page's letters. */
const bitWidth = 1.4;

/** What is shown of the byte that was chosen. @param bytes of config space now */
export function registerPanel(model: DeviceModel, at: number, bytes: Uint8Array): Child {
  const placed = model.registers[at];
  if (placed === undefined)
    return [
      el("h3", {}, `Byte ${hex(at, 3)} of ${model.data.name}`),
      el("p", {}, `${hex(bytes[at] ?? 0, 2)}: no register map describes it.`),
    ];
  const { where, name, offset, register } = placed;
  const raw = rawAt(placed, bytes);
  const parts = partsOf(register, raw);
  return [
    el("h3", {}, `${where}.${name} of ${model.data.name}`),
    factList([
      ["Where", `${hex(offset, 3)}, ${register.width} bits`],
      ["Value", el("span", { class: "mono" }, hex(raw, register.width / 4))],
      ["In words", textAt(placed, bytes)],
    ]),
    scrolled(`Bits of ${name}`, ...lines(model, placed, parts)),
    scrolled(
      `Fields of ${name}`,
      table(
        `Fields of ${name}`,
        ["Bits", "Field", "Value", "Access", "Who answers", "A guest's write"],
        parts.map((part) => [
          part.hi === part.lo ? String(part.lo) : `${part.hi}:${part.lo}`,
          nameOf(part),
          part.value,
          part.access,
          ...shares(model, placed, part),
        ]),
      ),
    ),
  ];
}

const nameOf = ({ name, label }: BitPart): string =>
  name === undefined ? "(no field)" : label === undefined || label === name ? name : `${name} (${label})`;

function* lines(
  model: DeviceModel,
  placed: PlacedRegister,
  parts: readonly BitPart[],
): Generator<HTMLElement> {
  const { width } = placed.register;
  for (let top = width - 1; top >= 0; top -= perLine) {
    const bottom = Math.max(0, top - perLine + 1);
    const row = parts
      .filter(({ hi, lo }) => hi >= bottom && lo <= top)
      .map((part) => cell(model, placed, part, Math.min(part.hi, top), Math.max(part.lo, bottom)));
    const line = el("table", { class: "bits", role: "presentation" }, el("tbody", {}, el("tr", {}, row)));
    line.style.minWidth = `${(top - bottom + 1) * bitWidth}rem`;
    yield line;
  }
}

function cell(
  model: DeviceModel,
  placed: PlacedRegister,
  part: BitPart,
  hi: number,
  lo: number,
): HTMLTableCellElement {
  const size = hi - lo + 1;
  const owner = part.name === undefined ? "gap" : ownerClass(model, placed, part);
  return el(
    "td",
    { colspan: size, class: `${owner} ${size < thin ? "thin" : ""}` },
    el("div", { class: "name" }, part.name ?? ""),
    el("span", { class: "value" }, part.name === undefined ? "" : `${part.bits.toString(16)}`),
    el("span", { class: "at" }, hi === lo ? String(lo) : `${hi}…${lo}`),
  );
}

/** Of a part's bits, how many are set in a table of a byte for each of config space. */
function share(bytes: Uint8Array, { offset }: PlacedRegister, { hi, lo }: BitPart): "none" | "some" | "all" {
  let set = 0;
  for (let bit = lo; bit <= hi; bit++) if ((bytes[offset + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) set++;
  return set === 0 ? "none" : set === hi - lo + 1 ? "all" : "some";
}

function ownerClass({ tables }: DeviceModel, placed: PlacedRegister, part: BitPart): string {
  if (!tables) return "";
  if (share(tables.emulated, placed, part) !== "none") return "o-emulated";
  return tables.source[placed.offset] === 2 || share(tables.write, placed, part) !== "none"
    ? "o-device"
    : "o-static";
}

function shares({ tables }: DeviceModel, placed: PlacedRegister, part: BitPart): [string, string] {
  if (!tables) return ["", ""];
  const emulated = share(tables.emulated, placed, part);
  const who = { all: "the model", some: "the model and the device", none: "the device" }[emulated];
  const write = { all: "stored", some: "some bits stored", none: "" }[share(tables.write, placed, part)];
  const clear = share(tables.clear, placed, part) === "none" ? "" : "a 1 clears";
  return [who, [write, clear].filter((text) => text !== "").join(", ") || "ignored"];
}
