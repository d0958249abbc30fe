// The registers of one map as lines of text. What fields mean together stands in their place: with verbosity 1 alone, with 2
// beside them.
import type { RegisterBlock } from "./block.ts";
import type { DecodedRegister } from "./decode.ts";
import { derivedText, foundValues, type FoundValue } from "./derived-decode.ts";
import { homeOf, pathsOf } from "./derived-value.ts";
import type { Field } from "./field.ts";
import { valueWidth } from "./field-value.ts";
import { rawValue } from "./raw-value.ts";
import { hasFields, type Register } from "./register.ts";
import { hexDigits } from "./hex-text.ts";

/** 0: a line a capability; 1: the registers that have labels, or fields with labels; 2: every register, with its offset and raw value. */
export type Verbosity = 0 | 1 | 2;

/** A derived value in a register's line: its label's parts, and what is printed in the section that they name. */
interface Word {
  readonly path: readonly string[];
  readonly text: string;
}
/** Words by the name of the field before which they stand. */
type Inserted = ReadonlyMap<string, readonly Word[]>;

interface Line {
  readonly at: number;
  readonly start: string;
  text: string;
}

/** Prints the registers of a map at byte `base` of a config space. */
export function registerLines(
  map: RegisterBlock,
  decoded: { readonly [name: string]: DecodedRegister },
  config: Uint8Array,
  base: number,
  verbosity: Verbosity,
  indent: string,
): string[] {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const found = foundValues(map, config, base);
  const inside = new Map<string, Map<string, Word[]>>();
  const lines: Line[] = [];
  for (const value of found) {
    const home = homeOf(value.parts);
    if (home) insert(inside, home, value);
    else lines.push(ownLine(value, indent));
  }
  const hidden = new Set(verbosity === 1 ? Object.values(map.derived).flatMap(pathsOf) : []);
  for (const { name, register, labelled } of inOrder(map)) {
    const value = decoded[name];
    if (value === undefined || hidden.has(name) || (verbosity === 1 && !labelled)) continue;
    const [label, ...sections] = (register.label ?? name).split(": ");
    const fields = fieldsText(register, value, inside.get(name) ?? new Map(), (field) =>
      hidden.has(`${name}.${field}`),
    );
    if (fields === "") continue;
    const text = [...sections, fields].join(": ");
    const raw = `[${hexOfBits(register.at, 8)}] 0x${hexOfBits(rawValue(register, memory, base), register.width)} `;
    const start = `${indent}${verbosity === 2 ? raw : ""}${label}: `;
    const last = lines.at(-1);
    // Neighbours of one label share a line: the words of a log, the numbers of a bridge's buses.
    if (verbosity === 1 && last?.start === start) last.text += `${separator(register, sections)}${text}`;
    else lines.push({ at: register.at, start, text });
  }
  return lines.sort((a, b) => a.at - b.at).map(({ start, text }) => start + text);
}

function wordOf(found: FoundValue): Word {
  const path = (found.derived.label ?? found.name).split(": ");
  const label = path.at(-1)!;
  const { value } = found;
  return {
    path,
    text: typeof value === "boolean" ? `${label}${value ? "+" : "-"}` : `${label}: ${derivedText(found)}`,
  };
}

function insert(
  into: Map<string, Map<string, Word[]>>,
  [register, field]: readonly [string, string],
  value: FoundValue,
): void {
  const words = into.get(register) ?? new Map<string, Word[]>();
  words.set(field, [...(words.get(field) ?? []), wordOf(value)]);
  into.set(register, words);
}

const ownLine = (found: FoundValue, indent: string): Line => {
  const [label, ...sections] = (found.derived.label ?? found.name).split(": ");
  const at = Math.min(...found.parts.map(({ register }) => register.at));
  return { at, start: `${indent}${label}: `, text: [...sections, derivedText(found)].join(": ") };
};

const isLabelled = ({ label, fields }: Register): boolean =>
  label !== undefined || Object.values(fields).some((field) => field.label !== undefined);

const separator = (register: Register, sections: readonly string[]): string =>
  hasFields(register) ? "; " : sections.length > 0 ? ", " : " ";

/** The fields of one decoded register, or its value, as one line without its label. */
export const registerText = (register: Register, value: DecodedRegister): string =>
  fieldsText(register, value, new Map(), () => false);

interface FieldLabel {
  readonly name: string;
  readonly field: Field;
  readonly section: string;
  readonly label: string;
}

/** Labels are taken apart once for each register, and not for each device that has it. */
const labels = new WeakMap<Register, readonly FieldLabel[]>();

function labelsOf(register: Register): readonly FieldLabel[] {
  let found = labels.get(register);
  if (found) return found;
  found = Object.entries(register.fields).map(([name, field]) => {
    const path = (field.label ?? name).split(": ");
    return { name, field, section: path.slice(0, -1).join(": "), label: path.at(-1)! };
  });
  labels.set(register, found);
  return found;
}

/** The registers of each map in the order of their offsets, and which of them have labels. */
const ordered = new WeakMap<
  RegisterBlock,
  readonly { readonly name: string; readonly register: Register; readonly labelled: boolean }[]
>();

function inOrder(map: RegisterBlock) {
  let found = ordered.get(map);
  if (found) return found;
  found = Object.entries(map.registers)
    .sort(([, a], [, b]) => a.at - b.at)
    .map(([name, register]) => ({ name, register, labelled: isLabelled(register) }));
  ordered.set(map, found);
  return found;
}

function fieldsText(
  register: Register,
  value: DecodedRegister,
  inserted: Inserted,
  isHidden: (field: string) => boolean,
): string {
  if (typeof value !== "object") return valueText(value, register.hex === true, register.width);
  const sections = new Map<string, string[]>();
  const put = (section: string, text: string): void => {
    const words = sections.get(section);
    if (words) words.push(text);
    else sections.set(section, [text]);
  };
  for (const { name, field, section, label } of labelsOf(register)) {
    for (const { path, text } of inserted.get(name) ?? []) put(path.slice(0, -1).join(": "), text);
    if (isHidden(name)) continue;
    const one = value[name]!;
    put(
      section,
      typeof one === "boolean"
        ? `${label}${one ? "+" : "-"}`
        : `${label}: ${fieldText(register, field, one)}`,
    );
  }
  return [...sections]
    .map(([section, words]) => `${section === "" ? "" : `${section}: `}${joined(words)}`)
    .join("; ");
}

function fieldText(register: Register, field: Field, value: boolean | number | string): string {
  const isHex = (field.hex ?? register.hex) === true;
  return valueText(value, isHex, valueWidth(field)) + (field.scale?.unit ?? "");
}

/** A comma after and before a word that is no flag; a blank between two flags. */
function joined(words: readonly string[]): string {
  let text = "";
  let afterFlag = false;
  for (const [index, word] of words.entries()) {
    const isFlag = !word.includes(": ");
    text += index === 0 ? word : `${isFlag && afterFlag ? " " : ", "}${word}`;
    afterFlag = isFlag;
  }
  return text;
}

function valueText(value: boolean | number | string, isHex: boolean, bits: number): string {
  if (typeof value === "number" && isHex) return hexOfBits(value, bits);
  return typeof value === "string" && value.startsWith("0x") ? value.slice(2) : String(value);
}

/** With as many digits as `bits` take. */
export const hexOfBits = (value: number | bigint, bits: number): string =>
  hexDigits(value, Math.ceil(bits / 4));
