// Compares what `decodeConfig` says with what lspci prints, token by token, through the maps' labels alone.
//
// Every token of a line must find a field, and agree with it. The line's label picks the registers (`DevCtl`);
// a word with a colon inside a line is a section of labels of the form `Section: Name`; a flag, a `Key=Value` or
// a phrase (`ASPM L0s`, `Completion Timeout: Range A`) picks the field whose label it starts with. What lspci
// composes of several fields, or writes with a unit, takes a `Rule`: its pattern is cut out of the text before
// the tokens are read, and its groups must equal what `says` makes of the decoded values.
//
//     const differences = compareConfig(config, device, { which: "extended", rules });   // [] where all agrees
//
// with `rules` by capability name, as `standardRules`. A capability without rules, or whose `title` does not
// match the printed one, is a difference as well: nothing that lspci decodes passes by unseen.
import {
  decodeConfig,
  type DecodedRegister,
  type DecodedRegisters,
  type DecodedValue,
} from "../../src/regs/decode.ts";
import type { Derived } from "../../src/regs/derived.ts";
import { partsOf } from "../../src/regs/derived-value.ts";
import { derivedText, foundValues } from "../../src/regs/derived-decode.ts";
import { layoutOf } from "../../src/regs/layout.ts";
import type { RegisterBlock } from "../../src/regs/map.ts";
import { tokens, type LspciCapability, type LspciDevice, type LspciLine } from "../support/lspci.ts";

/**
 * A decoded value by property names: `read("deviceControl", "maxPayload")`, or of a register without fields
 * `read("data")`. Throws where there is none, which the comparator reports.
 */
export interface Read {
  (register: string, field?: string): DecodedValue;
  /** The same as a number: a flag is 1 or 0. */
  number(register: string, field?: string): number;
  /** A derived value in words; undefined where its fields mean nothing. */
  text(name: string): string | undefined;
  /** The whole config space, for what lspci takes from elsewhere (the port type, a BAR). */
  readonly config: DecodedRegisters;
  readonly has: (register: string) => boolean;
}

/** @param label the label of the line; empty for the title */
export type Says = (
  read: Read,
  match: RegExpExecArray,
  label: string,
) => readonly (DecodedValue | undefined)[];

/** Cuts what it matches out of a line and checks its groups. */
export interface Rule {
  /** Label of the lines that it is for, or a pattern of labels; without it: the title and each line. */
  readonly line?: string | RegExp;
  /** Applied to the line's text, continuation lines joined by `\n`; the first match is taken. */
  readonly pattern: RegExp;
  /** What each group of the pattern must be; nothing to check where it has no groups. */
  readonly says?: Says;
}
export interface CapabilityRules {
  /** Matches, and is cut out of, the capability's title. */
  readonly title: RegExp;
  /** What each group of the title must be. */
  readonly says?: Says;
  readonly rules?: readonly Rule[];
}

export interface CompareOptions {
  /** Which capabilities are compared; the order and offsets of all are in any case. */
  readonly which: "standard" | "extended" | "all";
  /** By capability name; `unknown` is the name of those without a map. */
  readonly rules: Readonly<Record<string, CapabilityRules>>;
}

/** Tokens and groups that were compared since the last call: a comparison that compares nothing proves nothing. */
export function takeComparedCount(): number {
  const count = compared;
  compared = 0;
  return count;
}
let compared = 0;

/** Compares the list of capabilities and the chosen ones of one device; the result names each difference. */
export function compareConfig(
  config: Uint8Array,
  device: LspciDevice,
  { which, rules }: CompareOptions,
): string[] {
  const layout = layoutOf(config);
  const decoded = decodeConfig(config);
  const listOf = (list: readonly { offset: number; extended: boolean; version?: number }[]): string =>
    list.map((c) => `${c.offset.toString(16)}${c.extended ? ` v${c.version ?? 0}` : ""}`).join(", ");
  const ours = listOf(decoded.capabilities);
  const theirs = listOf(device.capabilities);
  if (ours !== theirs) return [`${device.bdf}: capabilities at ${ours}; lspci: ${theirs}`];
  const differences: string[] = [];
  for (const [index, theirsOne] of device.capabilities.entries()) {
    if (which !== "all" && theirsOne.extended !== (which === "extended")) continue;
    const { name, offset, registers } = decoded.capabilities[index]!;
    const { map } = layout.capabilities[index]!;
    const where = `${device.bdf} [${offset.toString(16)}] ${name}`;
    const rule = rules[name];
    if (!rule) differences.push(`${where}: no rules for this capability; lspci: ${theirsOne.title}`);
    else
      for (const difference of compareCapability(
        { map, registers, texts: textsOf(map, config, offset), config: decoded.header.registers },
        theirsOne,
        rule,
      ))
        differences.push(`${where}: ${difference}`);
  }
  return differences;
}

/** Every derived value of a map in words. */
export const textsOf = (
  map: RegisterBlock,
  config: Uint8Array,
  base: number,
): Readonly<Record<string, string>> =>
  Object.fromEntries(foundValues(map, config, base).map((found) => [found.name, derivedText(found)]));

export interface Decoded {
  readonly map: RegisterBlock;
  readonly registers: DecodedRegisters;
  /** What its fields mean together, in words. */
  readonly texts: Readonly<Record<string, string>>;
  /** The decoded header. */
  readonly config: DecodedRegisters;
}

/** Compares one capability: its title and each of its lines. */
export function compareCapability(
  decoded: Decoded,
  printed: LspciCapability,
  rules: CapabilityRules,
): string[] {
  const match = rules.title.exec(printed.title);
  if (!match) return [`title "${printed.title}" does not match ${rules.title.source}`];
  const differences = checkGroups(rules.says, match, reader(decoded), "");
  const rest = printed.title.slice(0, match.index) + printed.title.slice(match.index + match[0].length);
  const title: LspciLine = { label: "", text: rest, parts: [rest] };
  return [...differences, ...compareLines(decoded, [title, ...printed.lines], rules.rules ?? [])];
}

/** Compares lines with the registers of one map. */
export function compareLines(
  decoded: Decoded,
  lines: readonly LspciLine[],
  rules: readonly Rule[],
): string[] {
  const differences: string[] = [];
  const entries = labelledValues(decoded);
  const read = reader(decoded);
  for (const { label, parts } of lines) {
    const applies = ({ line }: Rule): boolean =>
      line === undefined || (typeof line === "string" ? line === label : line.test(label));
    let text = parts.join("\n");
    const said: string[] = [];
    for (const rule of rules.filter(applies)) {
      const match = rule.pattern.exec(text);
      if (!match) continue;
      said.push(...checkGroups(rule.says, match, read, label));
      text = `${text.slice(0, match.index)};${text.slice(match.index + match[0].length)}`;
    }
    // A title, and a line without a label, name a register without fields by the register's own label.
    const candidates =
      label === ""
        ? entries.map((entry) => (entry.name === "" ? { ...entry, name: entry.path[0]!, path: [""] } : entry))
        : entries.filter(({ path }) => path[0] === label);
    said.push(...compareTokens(label, text.split("\n"), candidates));
    differences.push(...said);
  }
  return differences;
}

function compareTokens(label: string, parts: readonly string[], entries: readonly Entry[]): string[] {
  const differences: string[] = [];
  let section = "";
  for (const token of tokens(parts)) {
    const wrong = (why: string): void =>
      void differences.push(
        `${label}: ${why}: ${token.kind === "phrase" ? `"${token.text}"` : `${token.name} ${token.value}`}`,
      );
    let [name, value] = token.kind === "phrase" ? [token.text, ""] : [token.name, String(token.value)];
    if (token.kind === "phrase") {
      const [head, ...tail] = name.split(/:(?: |$)/);
      if (entries.some((entry) => sectionOf(entry) === head)) {
        section = head!;
        name = tail.join(": ");
        if (name === "") continue;
      }
    }
    const inSection = entries.filter((entry) => sectionOf(entry) === section);
    const matching = (entry: Entry): boolean =>
      token.kind === "phrase"
        ? entry.name !== "" &&
          (name === entry.name || /^[:# ]/.test(name.slice(entry.name.length))) &&
          name.startsWith(entry.name)
        : entry.name === name;
    const pick = (list: readonly Entry[]): Entry | undefined =>
      list.filter(matching).sort((a, b) => b.name.length - a.name.length)[0];
    // A label without a section may follow one with: sections are how lspci breaks a line, not how it ends.
    const entry =
      pick(inSection) ??
      pick(entries.filter((e) => sectionOf(e) === "")) ??
      (token.kind === "phrase" && entries.length === 1 && entries[0]!.name === "" ? entries[0] : undefined);
    if (!entry) {
      wrong("no field has this label");
      continue;
    }
    if (token.kind === "phrase") value = name.slice(entry.name.length).replace(/^(: ?#?| ?#?)/, "");
    compared++;
    if (!agrees(entry, value)) wrong(`${entry.what} is ${JSON.stringify(entry.value)}, lspci says`);
  }
  return differences;
}

interface Entry {
  /** The labels' parts: line, sections, name. */
  readonly path: readonly string[];
  /** Empty for a register without fields, whose value follows its line's label. */
  readonly name: string;
  readonly value: DecodedValue;
  readonly hex: boolean;
  readonly what: string;
}
const sectionOf = ({ path }: Entry): string => path.slice(1, -1).join(": ");

function labelledValues({ map, registers, texts }: Decoded): Entry[] {
  const entries: Entry[] = [];
  for (const [key, derived] of Object.entries(map.derived)) {
    const value = texts[key];
    if (value === undefined || derived.label === undefined) continue;
    // One inside of a register's line is a word of it.
    const home = homeOf({ derived, map });
    const path = [
      ...(home === undefined ? [] : (map.registers[home]!.label ?? home).split(": ")),
      ...derived.label.split(": "),
    ];
    entries.push({
      path: path.length > 1 ? path : [...path, ""],
      name: path.length > 1 ? path.at(-1)! : "",
      value,
      hex: false,
      what: key,
    });
  }
  for (const [key, register] of Object.entries(map.registers)) {
    const value: DecodedRegister | undefined = registers[key];
    if (value === undefined) continue;
    const line = (register.label ?? key).split(": ");
    if (typeof value !== "object") {
      const path = line.length > 1 ? line : [...line, ""];
      entries.push({ path, name: path.at(-1)!, value, hex: register.hex ?? false, what: key });
      continue;
    }
    for (const [name, field] of Object.entries(register.fields)) {
      const path = [...line, ...(field.label ?? name).split(": ")];
      const hex = field.hex ?? register.hex ?? false;
      entries.push({ path, name: path.at(-1)!, value: value[name]!, hex, what: `${key}.${name}` });
    }
  }
  return entries;
}

function homeOf({
  derived,
  map,
}: {
  readonly derived: Derived;
  readonly map: RegisterBlock;
}): string | undefined {
  const parts = partsOf("", derived, map.registers);
  const [first] = parts;
  return first?.field && parts.every(({ name }) => name === first.name) ? first.name : undefined;
}

function agrees({ value, hex }: Entry, printed: string): boolean {
  // What lspci has no words for has no name here either.
  if (typeof value === "string" && value.startsWith("reserved("))
    return /^(unknown|reserved)$/i.test(printed);
  if (typeof value === "string" && value.startsWith("0x"))
    return /^[0-9a-f]+$/.test(printed) && BigInt(`0x${printed}`) === BigInt(value);
  if (typeof value !== "number") return printed === String(value);
  return hex ? /^[0-9a-f]+$/.test(printed) && parseInt(printed, 16) === value : printed === String(value);
}

function reader({ registers, texts, config }: Decoded): Read {
  const read = (register: string, field?: string): DecodedValue => {
    const whole = registers[register];
    const value = field === undefined || typeof whole !== "object" ? whole : whole[field];
    if (
      value === undefined ||
      typeof value === "object" ||
      (field !== undefined && typeof whole !== "object")
    )
      throw new Error(`nothing is decoded as ${register}${field === undefined ? "" : `.${field}`}`);
    return value;
  };
  return Object.assign(read, {
    number: (register: string, field?: string) => Number(read(register, field)),
    text: (name: string) => texts[name],
    config,
    has: (register: string) => register in registers,
  });
}

function checkGroups(says: Says | undefined, match: RegExpExecArray, read: Read, label: string): string[] {
  const groups = match.slice(1);
  if (groups.length === 0) return [];
  try {
    const expected = says?.(read, match, label) ?? [];
    if (expected.length !== groups.length)
      return [`${label}: the rule ${match[0]} checks ${expected.length} of ${groups.length} groups`];
    compared += groups.length;
    return groups.flatMap((group, index) =>
      group === (expected[index] === undefined ? undefined : String(expected[index]))
        ? []
        : [`${label}: decoded as "${String(expected[index])}", lspci says "${group}" in "${match[0]}"`],
    );
  } catch (error) {
    return [`${label}: ${(error as Error).message} for "${match[0]}"`];
  }
}
