// The registers of one map as lines of text. What fields mean together stands in their place: with verbosity 1 alone, with 2
// beside them.
import { extendedHead, standardHead } from "./capability.ts";
import type { RegisterBlock } from "./block.ts";
import type { DecodedRegister, DecodedValue } from "./decode.ts";
import { derivedText, foundValues, untoldParts, type FoundValue } from "./derived-decode.ts";
import { homeOf, pathsOf } from "./derived-value.ts";
import type { Field } from "./field.ts";
import { valueWidth } from "./field-value.ts";
import { rawValue } from "./raw-value.ts";
import { noGaps, type Gaps } from "./gaps.ts";
import { hasFields, type Register } from "./register.ts";
import { hexDigits } from "./hex-text.ts";

/** 0: a line a capability; 1: the registers that have labels, or fields with labels; 2: every register, with its offset and raw value. */
export type Verbosity = 0 | 1 | 2;

/** A derived value in a register's line: its label's parts, and what is printed in the section that they name. */
interface Word {
  readonly path: readonly string[];
  readonly isFlag: boolean;
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
  gaps: Gaps = noGaps,
): string[] {
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const { registers, derivedPaths } = printedOf(map);
  const inside: Inside = new Map();
  const lines: Line[] = [];
  const meanings: Line[] = [];
  const found = foundValues(map, config, base, gaps);
  for (const value of found) {
    const home = homeOf(value.parts);
    if (home) insert(inside, home, value);
    else meanings.push(ownLine(value, indent));
  }
  const untold = verbosity === 1 ? untoldParts(map, config, base, found, gaps) : nothing;
  const hidden =
    verbosity === 1 ? (untold.size === 0 ? derivedPaths : derivedPaths.difference(untold)) : nothing;
  for (const { name, register, labelled, label, sections, fields } of registers) {
    const value = decoded[name];
    if (value === undefined || hidden.has(name) || (verbosity === 1 && !labelled)) continue;
    const words =
      typeof value === "object"
        ? fieldsText(register, fields, value, inside.get(name), hidden)
        : valueText(value, register.hex === true, register.width);
    if (words === "") continue;
    const text = sections === "" ? words : `${sections}: ${words}`;
    const raw = verbosity === 2 ? rawText(register, memory, base) : "";
    const start = `${indent}${raw}${label}: `;
    const last = lines.at(-1);
    // Neighbours of one label share a line: the words of a log, the numbers of a bridge's buses.
    if (verbosity === 1 && last?.start === start)
      last.text += `${separator(register, sections !== "")}${text}`;
    else lines.push({ at: register.at, start, text });
  }
  // What registers mean comes behind the first of them, where that is shown.
  return [...lines, ...meanings].sort((a, b) => a.at - b.at).map(({ start, text }) => start + text);
}

const nothing: ReadonlySet<string> = new Set();

const rawText = (register: Register, memory: DataView, base: number): string =>
  `[${hexOfBits(register.at, 8)}] 0x${hexOfBits(rawValue(register, memory, base), register.width)} `;

function wordOf(found: FoundValue): Word {
  const path = (found.derived.label ?? found.name).split(": ");
  const label = path.at(-1)!;
  const { value } = found;
  return {
    path,
    isFlag: typeof value === "boolean",
    text: typeof value === "boolean" ? `${label}${value ? "+" : "-"}` : `${label}: ${derivedText(found)}`,
  };
}

/** Words by the register in whose line they stand. */
type Inside = Map<string, Map<string, Word[]>>;

function insert(into: Inside, [register, field]: readonly [string, string], value: FoundValue): void {
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

const separator = (register: Register, hasSections: boolean): string =>
  hasFields(register) ? "; " : hasSections ? ", " : " ";

/** The fields of one decoded register, or its value, as one line without its label. */
export const registerText = (register: Register, value: DecodedRegister): string =>
  typeof value === "object"
    ? fieldsText(register, labelsOf("", register), value, undefined, nothing)
    : valueText(value, register.hex === true, register.width);

interface FieldLabel {
  readonly name: string;
  /** With its register's name. */
  readonly path: string;
  readonly field: Field;
  readonly section: string;
  readonly label: string;
}

const labelsOf = (registerName: string, register: Register): readonly FieldLabel[] =>
  Object.entries(register.fields).map(([name, field]) => {
    const parts = (field.label ?? name).split(": ");
    return {
      name,
      path: `${registerName}.${name}`,
      field,
      section: parts.slice(0, -1).join(": "),
      label: parts.at(-1)!,
    };
  });

/** What of a map's lines does not depend on a device. */
interface Printed {
  /** In the order of their offsets. */
  readonly registers: readonly {
    readonly name: string;
    readonly register: Register;
    readonly labelled: boolean;
    readonly label: string;
    /** Behind the label, parted by `: `. */
    readonly sections: string;
    readonly fields: readonly FieldLabel[];
  }[];
  /** Registers and fields of which derived values are made. */
  readonly derivedPaths: ReadonlySet<string>;
}

const heads: ReadonlySet<string> = new Set([...Object.keys(standardHead), ...Object.keys(extendedHead)]);

/** Worked out once for each map, and not for each device that has it. */
const printed = new WeakMap<RegisterBlock, Printed>();

function printedOf(map: RegisterBlock): Printed {
  let found = printed.get(map);
  if (found) return found;
  // A map that nothing has names for shows all but its head.
  const isNamed = Object.values(map.registers).some(isLabelled);
  const registers = Object.entries(map.registers)
    .sort(([, a], [, b]) => a.at - b.at)
    .map(([name, register]) => {
      const [label, ...sections] = (register.label ?? name).split(": ");
      return {
        name,
        register,
        labelled: isLabelled(register) || (!isNamed && !heads.has(name)),
        label: label!,
        sections: sections.join(": "),
        fields: labelsOf(name, register),
      };
    });
  found = { registers, derivedPaths: new Set(Object.values(map.derived).flatMap(pathsOf)) };
  printed.set(map, found);
  return found;
}

/** A section's words as they are put together: a comma after and before a word that is no flag, a blank between two flags. */
class Words {
  text = "";
  #afterFlag = false;

  put(word: string, isFlag: boolean): void {
    if (this.text === "") this.text = word;
    else this.text += `${isFlag && this.#afterFlag ? " " : ", "}${word}`;
    this.#afterFlag = isFlag;
  }
}

function fieldsText(
  register: Register,
  fields: readonly FieldLabel[],
  value: { readonly [field: string]: DecodedValue },
  inserted: Inserted | undefined,
  hidden: ReadonlySet<string>,
): string {
  const sections = new Map<string, Words>();
  const wordsOf = (section: string): Words => {
    let words = sections.get(section);
    if (!words) sections.set(section, (words = new Words()));
    return words;
  };
  for (const { name, path, field, section, label } of fields) {
    for (const word of inserted?.get(name) ?? [])
      wordsOf(word.path.slice(0, -1).join(": ")).put(word.text, word.isFlag);
    if (hidden.has(path)) continue;
    const one = value[name]!;
    const isFlag = typeof one === "boolean";
    wordsOf(section).put(
      isFlag ? `${label}${one ? "+" : "-"}` : `${label}: ${fieldText(register, field, one)}`,
      isFlag,
    );
  }
  let text = "";
  for (const [section, words] of sections)
    text += `${text === "" ? "" : "; "}${section === "" ? "" : `${section}: `}${words.text}`;
  return text;
}

function fieldText(register: Register, field: Field, value: boolean | number | string): string {
  const isHex = (field.hex ?? register.hex) === true;
  return valueText(value, isHex, valueWidth(field)) + (field.scale?.unit ?? "");
}

function valueText(value: boolean | number | string, isHex: boolean, bits: number): string {
  if (typeof value === "number" && isHex) return hexOfBits(value, bits);
  return typeof value === "string" && value.startsWith("0x") ? value.slice(2) : String(value);
}

/** With as many digits as `bits` take. */
export const hexOfBits = (value: number | bigint, bits: number): string =>
  hexDigits(value, Math.ceil(bits / 4));
