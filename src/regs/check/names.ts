// Names of registers and fields become properties: of views, of live registers, of snapshots.
import { isRegister } from "../array.ts";
import { isPlain, type Entries } from "../entries.ts";
import type { Fields } from "../field.ts";
import type { Registers } from "../register.ts";
import { said } from "../said.ts";
import { viewName } from "../view-name.ts";

const pattern = /^[a-z][a-z0-9_]*$/i;
/** What accessors call their own, what every object has, and what makes a promise of one. */
const taken: ReadonlySet<string> = new Set([
  "fields",
  "raw",
  "then",
  ...Object.getOwnPropertyNames(Object.prototype),
]);

function checkName(where: string, name: string): void {
  if (!pattern.test(name))
    throw new RangeError(
      `"${where}" must be named by a letter, then letters, digits and _, not ${said(name)}`,
    );
  if (taken.has(name))
    throw new RangeError(`"${where}" must have another name, not "${name}": accessors have their own`);
}

function checkFieldNames(where: string, fields: Fields): void {
  for (const name in fields) checkName(`${where}.${name}`, name);
}

/** Each field of a group under the name that it has in a view, beside the registers and whatever else is called by `names`. */
function checkGroup(where: string, registers: Registers, names: Map<string, string>): void {
  for (const key in registers) {
    const { fields } = registers[key]!;
    checkFieldNames(`${where}.${key}`, fields);
    for (const field in fields) {
      const name = viewName(key, field);
      const path = `${where}.${key}.${field}`;
      const other = names.get(name);
      if (other !== undefined)
        throw new RangeError(`"${path}" must have another name, not "${name}" in a view: so has "${other}"`);
      if (taken.has(name))
        throw new RangeError(
          `"${path}" must have another name, not "${name}" in a view: accessors have their own`,
        );
      names.set(name, path);
    }
  }
}

/** @throws RangeError for a name that accessors cannot carry, or that two things would have */
export function checkNames(map: string, entries: Entries): void {
  const names = new Map<string, string>();
  const registers: Record<string, Registers[string]> = {};
  for (const key in entries) {
    const where = `${map}.${key}`;
    checkName(where, key);
    names.set(key, where);
    const entry = entries[key]!;
    if (isPlain(entry)) registers[key] = entry;
    else if (entry.kind !== "array") continue;
    else if (isRegister(entry.element)) checkFieldNames(where, entry.element.fields);
    else {
      const keys = Object.keys(entry.element);
      for (const name of keys) checkName(`${where}.${name}`, name);
      checkGroup(where, entry.element, new Map(keys.map((name) => [name, `${where}.${name}`])));
    }
  }
  checkGroup(map, registers, names);
}
