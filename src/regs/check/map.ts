// A map is checked when it is made: what is described wrongly is told of before it is ever used, by register and field.
import { sortEntries, type Entries, type SortedEntries } from "../entries.ts";
import { said } from "../said.ts";
import { checkDerived } from "./derived.ts";
import { checkNames } from "./names.ts";
import { checkOverlap } from "./overlap.ts";
import { checkRegister } from "./register.ts";
import { checkEntry, countRegisters } from "./tables.ts";

/** The checked entries of a map, sorted. @throws RangeError, or TypeError for a reset value of another type */
export function checkedEntries(map: string, size: number, entries: Entries): SortedEntries {
  if (typeof map !== "string" || map === "")
    throw new RangeError(`a register map must have a name, not ${said(map)}`);
  if (!Number.isSafeInteger(size) || size < 1)
    throw new RangeError(`"${map}" must have a size of 1 byte or more, not ${said(size)}`);
  if (typeof entries !== "object" || entries === null || Array.isArray(entries))
    throw new RangeError(`"${map}" must be made of registers by their names, not of ${said(entries)}`);
  let empty = true;
  let inTables = 0;
  for (const name in entries) {
    empty = false;
    checkEntry(`${map}.${name}`, entries[name]);
    inTables = countRegisters(`${map}.${name}`, entries[name]!, inTables);
  }
  if (empty) throw new RangeError(`"${map}" must have a register at least, not none`);
  const sorted = sortEntries(entries, size);
  checkNames(map, entries);
  for (const name in sorted.all) checkRegister(`${map}.${name}`, size, sorted.all[name]!);
  checkOverlap(map, sorted.all);
  for (const name in sorted.derived) checkDerived(`${map}.${name}`, sorted.derived[name]!, sorted.all);
  return sorted;
}
