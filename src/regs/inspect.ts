// What a map, a register, a field or accessors are, in one line, where they are printed: by `console.log`, a debugger, a test that
// failed. A live register is not read for that: it may change by a read.
import type { BitArray, RegisterArray } from "./array.ts";
import type { Entries } from "./entries.ts";
import type { Field } from "./field.ts";
import { fieldValue } from "./field-value.ts";
import { hex } from "./hex-text.ts";
import { rawValue } from "./raw-value.ts";
import type { Register, Registers } from "./register.ts";

/** What Bun and Node ask an object for when they print it. */
export const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** The same object, which prints as one line. */
export const printsAs = <What extends object>(what: What, line: () => string): What =>
  Object.defineProperty(what, inspectCustom, { value: line });

/** Names that a line has; of more it says how many. */
const mostNames = 16;

const listed = (names: readonly string[]): string =>
  names.length <= mostNames
    ? names.join(", ")
    : `${names.slice(0, mostNames).join(", ")} and ${names.length - mostNames} more`;

const line = (what: string, name: string, ...facts: readonly string[]): string =>
  `${what} ${name} (${facts.filter((fact) => fact !== "").join("; ")})`;

/** `table[16]` of a table. */
const entryNames = (entries: Entries): string[] =>
  Object.entries(entries).map(([name, entry]) => name + ("count" in entry ? `[${entry.count}]` : ""));

const placeText = ({ at, width }: Register, base = 0): string => `${width} bits at ${hex(base + at)}`;

/** As `RegisterMap MSI-X (12 bytes; control, table, pba)`. */
export const mapLine = (name: string, size: number, entries: Entries): string =>
  line("RegisterMap", name, `${size} bytes`, listed(entryNames(entries)));

/** As `RegisterReference MSI-X.control (16 bits at 0x2; tableSize, functionMask, enable)`. */
export const registerLine = (where: string, register: Register): string =>
  line("RegisterReference", where, placeText(register), fieldsOrAccess(register));

const fieldsOrAccess = ({ access, fields }: Register): string => listed(Object.keys(fields)) || access;

/** As `FieldReference PM.controlStatus.powerState (bits 1:0, rw; D0, D1, D2, D3hot)`. */
export const fieldLine = (where: string, { hi, lo, access, values = {} }: Field): string =>
  line(
    "FieldReference",
    where,
    `${hi === lo ? `bit ${lo}` : `bits ${hi}:${lo}`}, ${access}`,
    listed(Object.keys(values)),
  );

/** The registers of a group with their values in memory: `View edu (id 0x010000ed, status 0x00000080)`. */
export const viewLine = (
  where: string,
  registers: Registers,
  others: Entries,
  memory: DataView,
  base: number,
): string =>
  line(
    "View",
    where,
    listed([
      ...Object.entries(registers).map(([name, register]) => `${name} ${rawText(register, memory, base)}`),
      ...entryNames(others),
    ]),
  );

/** A register with its fields in memory: `View edu.status (0x00000080; computing false, raiseInterrupt true)`. */
export function registerViewLine(where: string, register: Register, memory: DataView, base: number): string {
  const raw = rawText(register, memory, base);
  if (raw === unknown) return line("View", where, raw);
  const value = rawValue(register, memory, base);
  const fields = Object.entries(register.fields).map(
    ([name, field]) => `${name} ${String(fieldValue(field, value))}`,
  );
  return line("View", where, raw, listed(fields));
}

/** What stands for bytes that the memory has not. */
const unknown = "?";

function rawText(register: Register, memory: DataView, base: number): string {
  try {
    return hex(rawValue(register, memory, base), register.width / 4);
  } catch {
    return unknown;
  }
}

/** As `ArrayView e1000e.receiveAddresses (16)`. */
export const tableLine = (what: string, where: string, { count }: RegisterArray | BitArray): string =>
  line(what, where, String(count));

/** As `Live edu (id, status, table[4])`: what can be done with a register, that tells itself. */
export const liveLine = (where: string, entries: Entries): string =>
  line("Live", where, listed(entryNames(entries)));

/** As `LiveRegister edu.status (32 bits at 0x20; read, write, modify)`. */
export const liveRegisterLine = (where: string, register: Register, base: number, can: object): string =>
  line("LiveRegister", where, placeText(register, base), canText(can));

/** As `LiveValue e1000e.receiveBase (read, write)`. */
export const liveValueLine = (where: string, can: object): string => line("LiveValue", where, canText(can));

const canText = (can: object): string => Object.keys(can).join(", ");
